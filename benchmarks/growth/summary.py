"""What becomes of the measurements: the least of the rounds, and how that grows."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..contenders import Contender
from ..results import Plan
from ..workloads import Place


@dataclass(frozen=True)
class Point:
    """One measurement."""

    contender: str
    place: Place
    greenlets: int
    #: Seconds of CPU of a task, and how many of these were garbage collections; None when not all ended.
    cpu: float | None
    collecting: float | None
    #: When measuring began: the process's memory in bytes, how many tasks had begun and not ended, and how many objects
    #: the garbage collector knew.
    rss: int
    running: int
    tracked: int
    peak: int
    errors: int
    #: Why, or the last line of the process's log.
    reasons: tuple[str, ...]

    @classmethod
    def take(
        cls,
        contender: str,
        place: Place,
        greenlets: int,
        plan: Plan,
        outcome: Mapping[str, Any] | None,
        peak: int,
        last: str,
    ) -> Point:
        """Make one of what the measured process wrote.

        :param outcome: None if it wrote nothing.
        :param last: the last line of its log.
        """
        ended = outcome["ended"] if outcome else 0
        errors = sum(outcome["errors"].values()) if outcome else 0
        lost = max(0, plan.total - ended)
        is_whole = outcome is not None and outcome["seconds"] > 0
        return cls(
            contender=contender,
            place=place,
            greenlets=greenlets,
            cpu=outcome["cpu_seconds"] / plan.tasks if outcome and is_whole else None,
            collecting=outcome["gc_seconds"] / plan.tasks if outcome and is_whole else None,
            rss=outcome["rss"] if outcome else 0,
            running=outcome["running"] if outcome else 0,
            tracked=outcome["tracked"] if outcome else 0,
            peak=peak,
            errors=errors + lost,
            reasons=(*(outcome["errors"] if outcome else ()), *([f"not ended in time; {last}"] if lost else [])),
        )


@dataclass(frozen=True)
class Growth:
    """What a contender's tasks cost in one place, by the number of greenlets."""

    contender: str
    place: Place
    #: Seconds of CPU of a task, and how many of these were garbage collections, in the round in which it took least, as
    #: whatever else the machine does makes it only more. Without those that didn't end.
    cpu: Mapping[int, float]
    collecting: Mapping[int, float]
    #: For each further task that waits, from the least to the greatest number of greenlets: bytes of the process, and
    #: objects that the garbage collector goes through; None without two of them.
    waiter_bytes: float | None
    waiter_objects: float | None
    #: The greatest number of connections on the server.
    peak: int
    errors: int
    reasons: tuple[str, ...]

    @property
    def span(self) -> float | None:
        """The most costly divided by the least costly; None without two."""
        return _span(self.cpu.values())

    @property
    def span_without_collections(self) -> float | None:
        """The same of the costs without garbage collections."""
        return _span(cost - self.collecting[size] for size, cost in self.cpu.items())


def _span(costs: Iterable[float]) -> float | None:
    known = list(costs)
    return max(known) / min(known) if len(known) > 1 else None


def summarize(points: Iterable[Point]) -> list[Growth]:
    """Return what came out, in the order in which places and contenders first appear."""
    groups: dict[tuple[Place, str], list[Point]] = {}
    for point in points:
        groups.setdefault((point.place, point.contender), []).append(point)
    return [_summarize(group) for group in groups.values()]


def _summarize(group: Sequence[Point]) -> Growth:
    sizes = sorted({point.greenlets for point in group})
    whole = {size: [one for one in group if one.greenlets == size and one.cpu is not None] for size in sizes}
    whole = {size: points for size, points in whole.items() if points}
    least = {size: min(points, key=lambda one: one.cpu or 0.0) for size, points in whole.items()}
    return Growth(
        contender=group[0].contender,
        place=group[0].place,
        cpu={size: point.cpu or 0.0 for size, point in least.items()},
        collecting={size: point.collecting or 0.0 for size, point in least.items()},
        waiter_bytes=_per_waiter("rss", whole),
        waiter_objects=_per_waiter("tracked", whole),
        peak=max(point.peak for point in group),
        errors=sum(point.errors for point in group),
        reasons=tuple(dict.fromkeys(reason for point in group for reason in point.reasons)),
    )


def _per_waiter(name: str, points: Mapping[int, Sequence[Point]]) -> float | None:
    """Return how much more of something there is for each task that has begun and not ended."""
    if len(points) < 2:
        return None
    more, running = (
        statistics.median(getattr(point, each) for point in points[max(points)])
        - statistics.median(getattr(point, each) for point in points[min(points)])
        for each in (name, "running")
    )
    return more / running if running > 0 else None


def find_faults(growths: Iterable[Growth], contenders: Iterable[Contender]) -> list[str]:
    """Return messages about contenders of ours whose tasks failed, or had too many connections."""
    limits = {contender.name: contender.limit for contender in contenders if contender.family == "ours"}
    faults = []
    for growth in growths:
        if growth.contender not in limits:
            continue
        where, limit = f"{growth.contender}, {growth.place}", limits[growth.contender]
        if growth.errors:
            faults.append(f"{where}: {growth.errors} errors: {', '.join(growth.reasons)}")
        if limit is not None and growth.peak > limit:
            faults.append(f"{where}: {growth.peak} connections, limit {limit}")
    return faults
