"""What a pool counts over its life: events, reasons and times. Cheap to record, computed when somebody asks."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from .metric import Metric

#: Upper bounds of the histograms' buckets, in seconds; above the last there is one more.
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

#: Why a connection was closed: it was idle or had lived long enough, the server or the network had broken it off, its
#: holder was killed in a query, or ended without giving it back, it was one too many (a lower limit, REUSE_CONNS), it
#: was left to other processes at a full server, or the pool was closed.
Reason = Literal["idle", "lifetime", "broken", "killed", "reclaimed", "surplus", "yielded", "shutdown"]

#: The kinds of session state for which a connection stays with its holder in mode "transaction".
StateKind = Literal[
    "setting",
    "listen",
    "advisory_lock",
    "temporary_table",
    "prepared_statement",
    "cursor_with_hold",
    "loaded_library",
]


@dataclass(frozen=True)
class HistogramSnapshot:
    """The times that a histogram has recorded until one moment: how many, by bucket, and their sum in seconds."""

    #: How many, by bucket, see BOUNDS.
    counts: tuple[int, ...]
    #: The sum of all times.
    total: float

    @property
    def count(self) -> int:
        """How many times there were."""
        return sum(self.counts)

    @classmethod
    def sum(cls, snapshots: Iterable[HistogramSnapshot]) -> HistogramSnapshot:
        """Return all times of several histograms, as if one had recorded them."""
        several = list(snapshots) or [Histogram().snapshot()]
        counts = tuple(map(sum, zip(*(each.counts for each in several), strict=True)))
        return cls(counts, sum(each.total for each in several))

    def quantile(self, share: float) -> float:
        """Return the time that a share (0 to 1) of all times did not exceed, estimated within its bucket.

        0 if nothing was recorded, and the last bound for what is above it.
        """
        rank = share * self.count
        below = 0
        for index, count in enumerate(self.counts[:-1]):
            if count and below + count >= rank:
                lower = BOUNDS[index - 1] if index else 0.0
                return lower + (BOUNDS[index] - lower) * max(0.0, rank - below) / count
            below += count
        return BOUNDS[-1] if self.counts[-1] else 0.0


class Histogram:
    """A histogram of times, in seconds."""

    __slots__ = ("_counts", "total")

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS) + 1)
        #: The sum of all times.
        self.total = 0.0

    def record(self, seconds: float) -> None:
        """Record one time."""
        self._counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds

    def add(self, other: Histogram) -> None:
        """Add the times that another one has recorded."""
        self._counts = list(map(sum, zip(self._counts, other._counts, strict=True)))
        self.total += other.total

    def snapshot(self) -> HistogramSnapshot:
        """Return what was recorded until now."""
        return HistogramSnapshot(tuple(self._counts), self.total)


class Counters:
    """The counters and histograms of one pool, by the names of its metrics. Used under the pool's lock.

    :param metrics: all declared metrics.
    """

    def __init__(self, metrics: Iterable[Metric]) -> None:
        counted = [each for each in metrics if each.kind == "counter"]
        self._counts = {each.name: 0 for each in counted if each.label is None}
        self._parts: dict[str, Counter[str]] = {each.name: Counter() for each in counted if each.label is not None}
        self.histograms = {
            each.name: Histogram() for each in metrics if each.kind == "histogram" and not each.is_by_task
        }

    def count(self, name: str, part: str | None = None, number: int = 1) -> None:
        """Count an event, once or several times.

        :param part: what it is counted under, for a metric with a label.
        :raises KeyError: when no such counter is declared.
        """
        if part is None:
            self._counts[name] += number
        else:
            self._parts[name][part] += number

    def read(self) -> dict[str, Any]:
        """Return all that was counted or recorded until now, by name."""
        parts = {name: dict(counts) for name, counts in self._parts.items()}
        return {**self._counts, **parts, **{name: histogram.snapshot() for name, histogram in self.histograms.items()}}
