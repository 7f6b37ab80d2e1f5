"""What a pool counts over its life: events, reasons and times. Cheap to record, worked out when somebody asks."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from typing import Literal

#: Upper bounds of the histograms' buckets, in seconds; above the last there is one more.
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

#: Why a connection was closed: it was idle or had lived long enough, the server or the network had broken it off, its
#: holder was killed in the middle of something, or ended without giving it back, it was one too many (a lower limit,
#: REUSE_CONNS), others may have waited for it at a full server, or the pool was closed.
Reason = Literal["idle", "lifetime", "broken", "killed", "reclaimed", "surplus", "yielded", "shutdown"]


@dataclass(frozen=True)
class Times:
    """How often something took how long, in seconds."""

    #: By bucket, see BOUNDS.
    counts: tuple[int, ...]
    #: All times together.
    total: float

    @property
    def count(self) -> int:
        """How many times there were."""
        return sum(self.counts)

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
    """Records times."""

    __slots__ = ("_counts", "_total")

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS) + 1)
        self._total = 0.0

    def record(self, seconds: float) -> None:
        """Record one time."""
        self._counts[bisect_left(BOUNDS, seconds)] += 1
        self._total += seconds

    def times(self) -> Times:
        """What was recorded until now."""
        return Times(tuple(self._counts), self._total)


class Counters:
    """What happened in one pool. Kept by its state, under the pool's lock."""

    def __init__(self) -> None:
        #: Requests that got nothing in time.
        self.timeouts = 0
        self.connects = 0
        self.failed_connects = 0
        #: Connections opened in the place of one that was lost while idle.
        self.reconnects = 0
        #: Connections taken back from holders that ended.
        self.reclaimed = 0
        #: Queries that the server was asked to stop, because whoever ran them was interrupted.
        self.cancelled = 0
        self.closed: Counter[Reason] = Counter()
        #: How long those waited who had to, in vain or not.
        self.wait = Histogram()
        #: How long connections were held, counted when they come back.
        self.use = Histogram()
        #: How long it took to connect.
        self.connect = Histogram()

    def count_failed_connect(self) -> None:
        """Count an attempt to connect that failed."""
        self.failed_connects += 1

    def count_reconnect(self) -> None:
        """Count a connection that was opened in the place of one that was lost while idle."""
        self.reconnects += 1
