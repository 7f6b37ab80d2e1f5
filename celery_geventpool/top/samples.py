"""The answers of workers, and the rates that follow from two answers of the same worker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django_geventpool.pool.counters import Histogram, HistogramSnapshot
from django_geventpool.pool.stats import METRICS

_UNUSED = {metric.name: Histogram().snapshot() if metric.kind == "histogram" else 0 for metric in METRICS}


@dataclass(frozen=True)
class Sample:
    """A worker's answer to ``inspect pools buckets``."""

    worker: str
    #: When it was asked (monotonic seconds).
    when: float
    answer: Mapping[str, Any]

    @property
    def error(self) -> str | None:
        """The error that a worker answered with instead of its numbers."""
        return self.answer.get("error")


@dataclass(frozen=True)
class Row:
    """The numbers of one pool, as the table shows them."""

    alias: str
    #: None for a pool that isn't used yet.
    pid: int | None
    #: The pool's own numbers, since it was made.
    numbers: Mapping[str, Any]
    #: By metric: a HistogramSnapshot, or a counter per second, between two samples; without an earlier one, a snapshot
    #: or count since the pool was made. None if not known yet.
    changes: Mapping[str, Any]


def tasks(now: Sample, before: Sample | None) -> float | None:
    """Return the tasks begun per second since an earlier sample, or in all without one; None if not known yet."""
    return _change(now.answer["tasks"], before.answer["tasks"] if before else None, now, before)


def rows(now: Sample, before: Sample | None) -> Iterator[Row]:
    """Yield a row for each of a worker's pools: of the time since an earlier sample, or of their lives without one."""
    known = {_key(pool): pool for pool in before.answer["pools"]} if before else {}
    for pool in now.answer["pools"]:
        yield Row(pool["alias"], pool["pid"], pool, dict(_changes(pool, known.get(_key(pool), {}), now, before)))
    for alias, limit in now.answer["unused"].items():
        yield Row(alias, None, {**_UNUSED, "limit": limit, "longest_holder": None}, _UNUSED)


def _changes(
    pool: Mapping[str, Any], earlier: Mapping[str, Any], now: Sample, before: Sample | None
) -> Iterator[tuple[str, Any]]:
    for metric in METRICS:
        name = metric.name
        if name not in pool:
            continue  # The worker has another version.
        if metric.kind == "histogram":
            yield name, _times(pool[name], earlier.get(name))
        elif metric.kind == "counter" and metric.label is None:
            yield name, _change(pool[name], earlier.get(name), now, before)


def _key(pool: Mapping[str, Any]) -> tuple[str, int]:
    return pool["alias"], pool["pid"]


def _change(count: int, earlier: int | None, now: Sample, before: Sample | None) -> float | None:
    if before is None:
        return count
    time = now.when - before.when
    # A lower count than before is that of a new process or pool, which has counted from zero.
    change = count if earlier is None or earlier > count else count - earlier
    return change / time if time else None


def _times(times: Mapping[str, Any], earlier: Mapping[str, Any] | None) -> HistogramSnapshot:
    if earlier is None or earlier["count"] > times["count"]:
        return HistogramSnapshot(tuple(times["counts"]), times["total"])
    counts = (count - old for count, old in zip(times["counts"], earlier["counts"], strict=True))
    return HistogramSnapshot(tuple(counts), times["total"] - earlier["total"])
