"""What the tasks of a run and the server's sessions say about each of its phases."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .scenarios import Phase, Shape

#: The time over which a rate is measured, and the time between two such measurements (seconds).
WINDOW, STEP = 0.5, 0.1
#: The part of the possible that a fleet has to reach, and of a fair share that each worker has to.
NEARLY_ALL, HALF = 0.9, 0.5

_TIMEOUT = "PoolTimeout"


@dataclass(frozen=True)
class Task:
    """A query that a worker ran."""

    worker: int
    #: In seconds after the start of the run.
    began: float
    #: None if it had not ended at the end of the run.
    ended: float | None
    #: The class of its error.
    error: str | None = None

    @property
    def is_done(self) -> bool:
        """Whether it has ended without an error."""
        return self.ended is not None and self.error is None


@dataclass(frozen=True)
class Sample:
    """The role's sessions on the server at a moment."""

    #: In seconds after the start of the run.
    at: float
    #: How many each worker has; those of others, such as a pooler, are None's.
    sessions: Mapping[int | None, int]

    @property
    def total(self) -> int:
        """The number of sessions of the role."""
        return sum(self.sessions.values())

    def of(self, worker: int) -> int:
        """Return the number of sessions of a worker."""
        return self.sessions.get(worker, 0)

    @property
    def most_of_one(self) -> int:
        """The number of sessions of the worker that has most of them."""
        return max((count for worker, count in self.sessions.items() if worker is not None), default=0)


@dataclass(frozen=True)
class Counts:
    """What the server has counted."""

    #: Connects that it refused, as there were too many connections.
    refused: int
    #: Sessions that were established.
    connects: int
    #: Transactions that ended, a query by itself being one: the server counts those of a session late, at its end at
    #: the latest.
    transactions: int

    def __sub__(self, before: Counts) -> Counts:
        return Counts(
            self.refused - before.refused, self.connects - before.connects, self.transactions - before.transactions
        )


@dataclass(frozen=True)
class Figures:
    """A phase in figures. Seconds are counted from its begin; None means never."""

    phase: str
    limit: int
    #: The queries that ended, divided by those that the limit allows.
    throughput: float
    #: The queries of the worker that had fewest, divided by the mean of the busy ones; None if there is one of these.
    least_share: float | None
    #: From when all together ran nine tenths of the possible.
    seconds_to_nearly_all: float | None
    #: The same two of the connections that workers had: they say less, but the machine's load does nothing to them. A
    #: pooler's connections are nobody's share.
    least_share_held: float | None
    seconds_to_nearly_all_held: float | None
    #: Until when each busy worker had run half of its fair share.
    seconds_to_half: float | None
    #: From when the role had no more sessions than its limit.
    seconds_to_limit: float | None
    #: Each for a worker and second.
    refused: float
    connects: float
    #: Of the tasks that began in the phase: their times beyond that of the query (seconds).
    longest_wait: float
    timeouts: int
    other_errors: int
    most_sessions: int
    most_sessions_of_one: int


def measure(
    phase: Phase,
    shape: Shape,
    query_seconds: float,
    tasks: Sequence[Task],
    samples: Sequence[Sample],
    counts: Counts,
) -> Figures:
    """Return a phase's figures.

    :param tasks: of all phases, as are ``samples``.
    :param counts: of this phase.
    """
    ended = [task for task in tasks if task.ended is not None and phase.begin <= task.ended < phase.end]
    times: dict[int, list[float]] = {worker: [] for worker in phase.busy}
    for task in ended:
        if task.error is None and task.worker in times and task.ended is not None:
            times[task.worker].append(task.ended - phase.begin)
    for its_times in times.values():
        its_times.sort()
    together = sorted(time for its_times in times.values() for time in its_times)
    connections = min(phase.limit, len(times) * shape.max_conns)
    possible = connections / query_seconds
    fair = possible / len(times)
    seen = [sample for sample in samples if phase.begin <= sample.at < phase.end]
    errors = [task.error for task in ended if task.error is not None]
    worker_seconds = shape.workers * phase.seconds
    return Figures(
        phase=phase.name,
        limit=phase.limit,
        throughput=len(together) / (possible * phase.seconds),
        least_share=_least_share([len(its_times) for its_times in times.values()]),
        seconds_to_nearly_all=seconds_to_rate(together, NEARLY_ALL * possible, phase.seconds),
        least_share_held=_least_share_held(seen, phase.busy),
        seconds_to_nearly_all_held=_seconds_to_held(seen, phase, NEARLY_ALL * connections),
        seconds_to_half=_last(seconds_to_rate(one, HALF * fair, phase.seconds) for one in times.values()),
        seconds_to_limit=_seconds_to_limit(seen, phase),
        refused=counts.refused / worker_seconds,
        connects=counts.connects / worker_seconds,
        longest_wait=_longest_wait(phase, tasks, query_seconds),
        timeouts=errors.count(_TIMEOUT),
        other_errors=len(errors) - errors.count(_TIMEOUT),
        most_sessions=max((sample.total for sample in seen), default=0),
        most_sessions_of_one=max((sample.most_of_one for sample in seen), default=0),
    )


def seconds_to_rate(times: Sequence[float], rate: float, seconds: float) -> float | None:
    """Return when things first happen at a rate: the begin of the first window with enough of them; None for never.

    :param times: when they happened, ascending.
    :param rate: in things a second.
    :param seconds: where to end looking.
    """
    for step in range(int((seconds - WINDOW) / STEP + 1e-9) + 1):
        begin = step * STEP
        if bisect.bisect_left(times, begin + WINDOW) - bisect.bisect_left(times, begin) >= rate * WINDOW:
            return round(begin, 3)
    return None


def _least_share(done: Sequence[int]) -> float | None:
    if len(done) == 1:
        return None
    return min(done) * len(done) / sum(done) if sum(done) else 0.0


def _least_share_held(samples: Sequence[Sample], busy: Iterable[int]) -> float | None:
    held = [sum(sample.of(worker) for sample in samples) for worker in busy]
    return _least_share(held) if any(held) else None


def _last(times: Iterable[float | None]) -> float | None:
    """Return the greatest number; None if there is a None."""
    last = 0.0
    for time in times:
        if time is None:
            return None
        last = max(last, time)
    return last


def _seconds_to_held(samples: Sequence[Sample], phase: Phase, connections: float) -> float | None:
    """Return when the busy workers, or the pooler for them, first had so many connections; None for never."""
    for sample in samples:
        if sum(map(sample.of, phase.busy)) + sample.sessions.get(None, 0) >= connections:
            return round(sample.at - phase.begin, 3)
    return None


def _seconds_to_limit(samples: Sequence[Sample], phase: Phase) -> float | None:
    over = [index for index, sample in enumerate(samples) if sample.total > phase.limit]
    if not over:
        return 0.0
    if over[-1] == len(samples) - 1:
        return None
    return round(samples[over[-1] + 1].at - phase.begin, 3)


def _longest_wait(phase: Phase, tasks: Sequence[Task], query_seconds: float) -> float:
    last = max((task.ended for task in tasks if task.ended is not None), default=phase.end)
    waits = (
        (last if task.ended is None else task.ended) - task.began - query_seconds
        for task in tasks
        if phase.begin <= task.began < phase.end
    )
    return max(waits, default=0.0)
