"""What workers have answered, and what follows from two answers of the same one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django_geventpool.pool.counters import Histogram, Times

_NO_TIMES = Histogram().times()


@dataclass(frozen=True)
class Sample:
    """A worker's answer to ``inspect pools buckets``."""

    worker: str
    #: When it was asked (monotonic seconds).
    when: float
    answer: Mapping[str, Any]

    @property
    def error(self) -> str | None:
        """What a worker says that can't answer."""
        return self.answer.get("error")


@dataclass(frozen=True)
class Row:
    """What is shown of one pool."""

    alias: str
    limit: int
    #: None for a pool that isn't used yet.
    pid: int | None = None
    in_use: int = 0
    idle: int = 0
    waiting: int = 0
    #: Of the time between two samples, or of the pool's life.
    wait: Times = _NO_TIMES
    #: For each second between two samples, or in all; None if unknown yet.
    checkouts: float | None = 0
    #: Since the pool was made.
    timeouts: int = 0
    longest_holder: str | None = None
    longest_held: float = 0.0


def tasks(now: Sample, before: Sample | None) -> float | None:
    """Return how many tasks a worker has begun: for each second since a sample, or in all; None if unknown yet."""
    return _change(now.answer["tasks"], before.answer["tasks"] if before else None, now, before)


def rows(now: Sample, before: Sample | None) -> Iterator[Row]:
    """Work out the rows of a worker's pools: for the time since a sample, or for their lives."""
    known = {_key(pool): pool for pool in before.answer["pools"]} if before else {}
    for pool in now.answer["pools"]:
        earlier = known.get(_key(pool))
        yield Row(
            **{name: pool[name] for name in ("alias", "limit", "pid", "in_use", "idle", "waiting", "timeouts")},
            wait=_times(pool["wait_time"], earlier and earlier["wait_time"]),
            checkouts=_change(pool["checkouts"], earlier and earlier["checkouts"], now, before),
            longest_holder=pool["longest_holder"],
            longest_held=pool["longest_held"],
        )
    for alias, limit in now.answer["unused"].items():
        yield Row(alias, limit)


def _key(pool: Mapping[str, Any]) -> tuple[str, int]:
    return pool["alias"], pool["pid"]


def _change(count: int, earlier: int | None, now: Sample, before: Sample | None) -> float | None:
    if before is None:
        return count
    time = now.when - before.when
    # A counter that was set back has counted from zero since.
    change = count if earlier is None or earlier > count else count - earlier
    return change / time if time else None


def _times(times: Mapping[str, Any], earlier: Mapping[str, Any] | None) -> Times:
    if earlier is None or earlier["count"] > times["count"]:
        return Times(tuple(times["counts"]), times["total"])
    counts = (count - old for count, old in zip(times["counts"], earlier["counts"], strict=True))
    return Times(tuple(counts), times["total"] - earlier["total"])
