"""Measurements, and their summaries over several rounds."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .contenders import REFERENCES, Contender
from .workloads import Place, Workload


@dataclass(frozen=True)
class Plan:
    """How many tasks run before the measured ones, are measured, and run after them, so that these never run alone."""

    warm_up: int
    tasks: int
    cool_down: int

    @property
    def total(self) -> int:
        """The number of all tasks."""
        return self.warm_up + self.tasks + self.cool_down


@dataclass(frozen=True)
class Measurement:
    """One contender, with one workload, in one round."""

    contender: str
    place: Place
    workload: str
    round: int
    #: None when the measured tasks did not all end.
    tasks_per_second: float | None
    cpu_microseconds_per_task: float | None
    peak: int
    #: Tasks that failed, and those that did not end in time.
    errors: int
    #: Why tasks failed, and how many each.
    reasons: Mapping[str, int]

    @classmethod
    def take(
        cls,
        contender: Contender,
        place: Place,
        workload: Workload,
        round_number: int,
        *,
        plan: Plan,
        outcome: Mapping[str, Any] | None,
        peak: int,
        note: str = "",
    ) -> Measurement:
        """Make a measurement of what the measured process wrote; ``outcome`` is None if it wrote nothing."""
        outcome = outcome or {"seconds": 0.0, "cpu_seconds": 0.0, "ended": 0, "errors": {}}
        reasons = dict(outcome["errors"])
        lost = plan.total - outcome["ended"]
        if lost:
            reasons[f"not ended in time{note}"] = lost
        seconds = outcome["seconds"]
        return cls(
            contender=contender.name,
            place=place,
            workload=workload.name,
            round=round_number,
            tasks_per_second=plan.tasks / seconds if seconds else None,
            cpu_microseconds_per_task=outcome["cpu_seconds"] / plan.tasks * 1e6 if seconds else None,
            peak=peak,
            errors=sum(reasons.values()),
            reasons=reasons,
        )


@dataclass(frozen=True)
class Summary:
    """The rounds of one contender with one workload: medians, the greatest peak, the sum of errors."""

    contender: str
    place: Place
    workload: str
    rounds: int
    tasks_per_second: float | None
    #: The slowest and the fastest round.
    spread: tuple[float, float] | None
    cpu_microseconds_per_task: float | None
    peak: int
    errors: int
    reasons: Mapping[str, int]
    #: Its tasks per second divided by those of each reference.
    ratios: Mapping[str, float] = field(default_factory=dict)


def summarize(measurements: Iterable[Measurement]) -> list[Summary]:
    """Return the summaries, in the order in which contenders and workloads first appear."""
    groups: dict[tuple[Place, str, str], list[Measurement]] = {}
    for one in measurements:
        groups.setdefault((one.place, one.workload, one.contender), []).append(one)
    speeds = {key: _median([one.tasks_per_second for one in group]) for key, group in groups.items()}
    summaries = []
    for (place, workload, contender), group in groups.items():
        speed = speeds[place, workload, contender]
        ended = [one.tasks_per_second for one in group if one.tasks_per_second is not None]
        reasons: Counter[str] = Counter()
        for one in group:
            reasons.update(one.reasons)
        ratios = {}
        for reference in REFERENCES:
            other = speeds.get((place, workload, reference))
            if speed is not None and other is not None:
                ratios[reference] = speed / other
        summaries.append(
            Summary(
                contender=contender,
                place=place,
                workload=workload,
                rounds=len(group),
                tasks_per_second=speed,
                spread=(min(ended), max(ended)) if ended else None,
                cpu_microseconds_per_task=_median([one.cpu_microseconds_per_task for one in group]),
                peak=max(one.peak for one in group),
                errors=sum(one.errors for one in group),
                reasons=reasons,
                ratios=ratios,
            )
        )
    return summaries


def find_faults(summaries: Iterable[Summary], contenders: Sequence[Contender]) -> list[str]:
    """Return messages about contenders of ours that had errors, or too many connections."""
    ours = {contender.name: contender for contender in contenders if contender.family == "ours"}
    faults = []
    for summary in summaries:
        contender = ours.get(summary.contender)
        if contender is None:
            continue
        where = f"{contender.name}, {summary.place}, {summary.workload}"
        if summary.errors:
            faults.append(f"{where}: {summary.errors} errors: {', '.join(summary.reasons)}")
        if contender.limit is not None and summary.peak > contender.limit:
            faults.append(f"{where}: {summary.peak} connections, limit {contender.limit}")
    return faults


def _median(values: Iterable[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    return statistics.median(numbers) if numbers else None
