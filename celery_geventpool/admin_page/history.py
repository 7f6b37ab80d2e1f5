"""The last minutes of each pool: what the page draws, and what has changed within the last one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

from django_geventpool.pool.counters import HistogramSnapshot

from .numbers import PoolNumbers

#: How many points are kept of a pool, and for how long (seconds).
_MOST, _KEPT = 150, 300.0
#: What counts as just now (seconds).
_LATELY = 60.0


@dataclass(frozen=True)
class _Point:
    when: float
    numbers: PoolNumbers


@dataclass(frozen=True)
class Lately:
    """What has happened to a pool in the last minute; or since it was made, if it wasn't looked at before."""

    timeouts: int
    #: Of the waits that ended; None if there was none.
    wait_p50: float | None
    wait_p95: float | None


class History:
    """The points of all pools. Used under the lock of whoever has it."""

    def __init__(self) -> None:
        self._points: dict[str, deque[_Point]] = {}

    def add(self, pools: Iterable[PoolNumbers], when: float) -> None:
        """Add a point for each pool, and forget those that are past.

        :param when: when the pools were asked (monotonic seconds).
        """
        for pool in pools:
            # Who held connections says nothing later, and takes memory.
            bare = replace(pool, fleet=None, holders=())
            self._points.setdefault(pool.key, deque(maxlen=_MOST)).append(_Point(when, bare))
        for key, points in list(self._points.items()):
            while points and when - points[0].when > _KEPT:
                points.popleft()
            if not points:
                del self._points[key]

    def drawn(self, key: str, now: float) -> list[list[float]]:
        """Return the points of a pool, the oldest first: age in seconds, in use, waiting, limit."""
        return [
            [round(now - point.when, 1), point.numbers.in_use, point.numbers.waiting, point.numbers.limit]
            for point in self._points.get(key, ())
        ]

    def lately(self, pool: PoolNumbers, now: float) -> Lately:
        """Return what has changed within the last minute."""
        past = [point for point in self._points.get(pool.key, ()) if now - point.when <= _LATELY]
        # The last point is that of the pool itself.
        before = past[0].numbers if len(past) > 1 else None
        timeouts = pool.timeouts - (before.timeouts if before is not None else 0)
        waits = _less(pool.waits, None if before is None else before.waits)
        if waits is None or not any(waits):
            return Lately(max(timeouts, 0), None, None)
        times = HistogramSnapshot(waits, 0.0)
        return Lately(max(timeouts, 0), times.quantile(0.5), times.quantile(0.95))


def _less(now: tuple[int, ...] | None, before: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """Return the waits since an earlier moment; all of them if there are fewer than then: the pool was made anew."""
    if now is None or before is None or sum(before) > sum(now):
        return now
    return tuple(max(count - old, 0) for count, old in zip(now, before, strict=True))
