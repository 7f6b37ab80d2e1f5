"""What must hold in a run, whatever happened."""

from __future__ import annotations

import enum
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from benchmarks.fleet.statistics import Figures, Sample, Task

from .faults import BREAKING, Fault

#: How long more sessions than allowed may be there, as the server still has those of killed processes, of connections
#: that were cut, or of a stopped worker; and how long after a fault connections may still break (seconds).
GRACE = 10.0
#: For how long after a limit was lowered sessions may still come that the server let in before (seconds).
_SETTLING = 0.5
#: How long a worker may be without a task that succeeds, its restarts and stops included (seconds).
PATIENCE = 20.0
#: What all together, and each worker, reach at the end, when nothing has happened for a while.
THROUGHPUT, LEAST_SHARE = 0.6, 0.3

_OF_BROKEN_CONNECTIONS = {"OperationalError", "InterfaceError", "DatabaseError"}


class Law(enum.IntFlag):
    """The laws; the program's exit status is the sum of those that were broken."""

    BOUND = 1
    PROGRESS = 2
    ERRORS = 4
    RECOVERY = 8
    END = 16


@dataclass(frozen=True)
class Evidence:
    """What was seen. Times are in seconds after the start of the run."""

    seconds: float
    workers: int
    max_conns: int
    faults: Sequence[Fault]
    #: From when each limit was in force, in order; the first from before the first sample.
    limits: Sequence[tuple[float, int]]
    samples: Sequence[Sample]
    tasks: Sequence[Task]
    #: Of the quiet time at the end.
    figures: Figures
    #: The exit statuses of the workers that were there at the end; None is one that had to be killed.
    statuses: Mapping[int, int | None] = field(default_factory=dict)


Problem = tuple[Law, str]


def judge(evidence: Evidence) -> list[Problem]:
    """Return which laws were broken, and how."""
    return [
        *_judge_bound(evidence),
        *_judge_progress(evidence),
        *_judge_errors(evidence),
        *_judge_recovery(evidence.figures),
        *(
            (Law.END, f"worker {number} ended with {status}")
            for number, status in evidence.statuses.items()
            if status != 0
        ),
    ]


def _judge_bound(evidence: Evidence) -> Iterator[Problem]:
    totals = [(sample.at, sample.total, _limit_at(evidence.limits, sample.at)) for sample in evidence.samples]
    for (_, before, _), (at, total, limit) in pairwise(totals):
        if total > max(limit, before):
            yield Law.BOUND, f"{at:.1f} s: {total} sessions after {before}, limit {limit}"
    for begin, end in _spells((at, total > limit) for at, total, limit in totals):
        if end - begin > GRACE:
            yield Law.BOUND, f"from {begin:.1f} s to {end:.1f} s: more sessions than the limit"
    for worker in range(evidence.workers):
        is_over = ((sample.at, sample.of(worker) > evidence.max_conns) for sample in evidence.samples)
        for begin, end in _spells(is_over):
            if end - begin > GRACE:
                yield Law.BOUND, f"from {begin:.1f} s to {end:.1f} s: more sessions of worker {worker} than MAX_CONNS"


def _judge_progress(evidence: Evidence) -> Iterator[Problem]:
    for worker in range(evidence.workers):
        done = sorted(
            task.ended
            for task in evidence.tasks
            if task.worker == worker and task.ended is not None and task.error is None
        )
        for before, after in pairwise([0.0, *done, evidence.seconds]):
            if after - before > PATIENCE:
                yield Law.PROGRESS, f"worker {worker} did nothing from {before:.1f} s to {after:.1f} s"


def _judge_errors(evidence: Evidence) -> Iterator[Problem]:
    breaks = [fault for fault in evidence.faults if fault.kind in BREAKING]
    wrong: Counter[str] = Counter()
    for task in evidence.tasks:
        if task.error is None or task.ended is None:
            continue
        is_of_fault = any(fault.begin <= task.ended <= fault.end + GRACE for fault in breaks)
        if not (is_of_fault and task.error in _OF_BROKEN_CONNECTIONS):
            wrong[task.error] += 1
    for error, count in wrong.items():
        yield Law.ERRORS, f"{count} {error}"


def _judge_recovery(figures: Figures) -> Iterator[Problem]:
    if figures.throughput < THROUGHPUT:
        yield Law.RECOVERY, f"at the end {figures.throughput:.2f} of the possible (at least {THROUGHPUT})"
    if figures.least_share is not None and figures.least_share < LEAST_SHARE:
        yield Law.RECOVERY, f"at the end a least share of {figures.least_share:.2f} (at least {LEAST_SHARE})"


def _limit_at(limits: Sequence[tuple[float, int]], at: float) -> int:
    """Return the limit at a moment, or the one just before if that was greater."""
    ends = [*(begin + _SETTLING for begin, _ in limits[1:]), math.inf]
    return max(limit for (begin, limit), end in zip(limits, ends, strict=True) if begin <= at < end)


def _spells(states: Iterable[tuple[float, bool]]) -> Iterator[tuple[float, float]]:
    """Yield the begin and end of each time in which a state is true."""
    begin: float | None = None
    at = 0.0
    for at, is_so in states:
        if is_so and begin is None:
            begin = at
        elif not is_so and begin is not None:
            yield begin, at
            begin = None
    if begin is not None:
        yield begin, at
