"""The three phases of a fleet in one line, and what is expected of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .contenders import PGBOUNCER
from .run import Run
from .scenarios import Shape

#: What is expected of ours. Seconds, parts, and numbers for each worker and second.
LEAST_SHARE, LEAST_SHARE_OF_TURNS = 0.8, 0.5
LONE_SECONDS, OTHERS_SECONDS, REFUSED = 1.5, 2.0, 0.2
#: Questions about others, for each worker and second.
LOOKS = 2.0
#: How long a query may wait beyond PgBouncer's longest wait (seconds).
FURTHER_WAIT = 3.0
#: After it was lowered.
LIMIT_SECONDS = 5.0
#: Of PgBouncer's throughput in the same run: up to a limit of so many connections, and beyond.
SMALL_LIMIT, OF_PGBOUNCER, OF_PGBOUNCER_BEYOND = 25, 0.95, 0.97


@dataclass(frozen=True)
class Summary:
    """A run of the scenario "phases". Seconds are None for never."""

    contender: str
    shape: Shape
    #: The phases in which all are busy.
    throughput: tuple[float, float]
    #: Of these phases, the lesser.
    least_share: float | None
    #: Of the lone busy worker.
    seconds_to_nearly_all: float | None
    #: The same two, of connections.
    least_share_held: float | None
    seconds_to_nearly_all_held: float | None
    #: Of the others, when they are busy again.
    seconds_to_half: float | None
    refused: float
    connects: float
    #: The server's transactions that were no tasks, for each worker and second.
    further_statements: float
    longest_wait: float
    timeouts: int
    other_errors: int
    most_sessions: int


def summarize(run: Run) -> Summary:
    """Return a summary of a run of the scenario "phases"."""
    before, alone, again = run.phases
    return Summary(
        contender=run.contender.name,
        shape=run.shape,
        throughput=(before.throughput, again.throughput),
        least_share=_lesser(before.least_share, again.least_share),
        seconds_to_nearly_all=alone.seconds_to_nearly_all,
        least_share_held=_lesser(before.least_share_held, again.least_share_held),
        seconds_to_nearly_all_held=alone.seconds_to_nearly_all_held,
        seconds_to_half=again.seconds_to_half,
        refused=sum(phase.refused for phase in run.phases) / len(run.phases),
        connects=sum(phase.connects for phase in run.phases) / len(run.phases),
        further_statements=run.further_statements,
        longest_wait=max(phase.longest_wait for phase in run.phases),
        timeouts=sum(phase.timeouts for phase in run.phases),
        other_errors=sum(phase.other_errors for phase in run.phases),
        most_sessions=max(phase.most_sessions for phase in run.phases),
    )


def ratio_of(summary: Summary, other: Summary) -> float:
    """Return the throughput divided by that of another summary, whose throughput isn't zero."""
    return sum(summary.throughput) / sum(other.throughput)


def missed_goals(summary: Summary, pgbouncer: Summary | None) -> list[str]:
    """Return what a run of ours should have reached and hasn't.

    :param pgbouncer: its run of the same shape; without one, throughput and waits have no goals.
    """
    shape = summary.shape
    least = LEAST_SHARE if shape.workers <= shape.limit else LEAST_SHARE_OF_TURNS
    missed = []
    if pgbouncer is not None:
        part = OF_PGBOUNCER if shape.limit <= SMALL_LIMIT else OF_PGBOUNCER_BEYOND
        ratio = ratio_of(summary, pgbouncer)
        if ratio < part:
            missed.append(f"throughput {ratio:.2f} of PgBouncer's (goal {part})")
        if summary.longest_wait > pgbouncer.longest_wait + FURTHER_WAIT:
            most = pgbouncer.longest_wait + FURTHER_WAIT
            missed.append(f"a longest wait of {summary.longest_wait:.1f} s (goal {most:.1f} s)")
    if summary.least_share is not None and summary.least_share < least:
        missed.append(f"least share {summary.least_share:.2f} (goal {least})")
    if _is_late(summary.seconds_to_nearly_all, LONE_SECONDS):
        missed.append(f"nine tenths for a lone worker {_after(summary.seconds_to_nearly_all)} (goal {LONE_SECONDS} s)")
    if _is_late(summary.seconds_to_half, OTHERS_SECONDS):
        missed.append(f"half a share for the others {_after(summary.seconds_to_half)} (goal {OTHERS_SECONDS} s)")
    if summary.refused > REFUSED:
        missed.append(f"{summary.refused:.2f} refused connects a worker and second (goal {REFUSED})")
    # A connect is a transaction, too.
    looks = summary.further_statements - summary.connects
    if looks > LOOKS:
        missed.append(f"{looks:.1f} further statements a worker and second (goal {LOOKS})")
    if summary.timeouts:
        missed.append(f"{summary.timeouts} PoolTimeouts (goal 0)")
    return missed


def missed_after_changes(run: Run) -> list[str]:
    """Return what a run of ours should have reached in each phase but the first, and hasn't."""
    missed = []
    for phase in run.phases[1:]:
        if _is_late(phase.seconds_to_half, OTHERS_SECONDS):
            missed.append(
                f"{phase.phase}: half a share for all {_after(phase.seconds_to_half)} (goal {OTHERS_SECONDS} s)"
            )
        if _is_late(phase.seconds_to_limit, LIMIT_SECONDS):
            missed.append(f"{phase.phase}: within the limit {_after(phase.seconds_to_limit)} (goal {LIMIT_SECONDS} s)")
        if phase.timeouts:
            missed.append(f"{phase.phase}: {phase.timeouts} PoolTimeouts (goal 0)")
    return missed


def find_faults(runs: Sequence[Run]) -> list[str]:
    """Return where ours had errors, or more sessions than it may have."""
    faults = []
    for run in runs:
        if run.contender.name == PGBOUNCER:
            continue
        limit = 0
        for phase in run.phases:
            where = f"{run.contender.name}, {run.shape}, {run.scenario}, {phase.phase}"
            if phase.other_errors:
                faults.append(f"{where}: {phase.other_errors} errors other than PoolTimeout")
            # After a limit was lowered, sessions of before are still there.
            if phase.most_sessions > max(limit, phase.limit):
                faults.append(f"{where}: {phase.most_sessions} sessions, limit {phase.limit}")
            if phase.most_sessions_of_one > run.shape.max_conns:
                faults.append(f"{where}: {phase.most_sessions_of_one} sessions of a worker")
            limit = phase.limit
    return faults


def _lesser(one: float | None, other: float | None) -> float | None:
    return min((value for value in (one, other) if value is not None), default=None)


def _is_late(seconds: float | None, goal: float) -> bool:
    return seconds is None or seconds > goal


def _after(seconds: float | None) -> str:
    return "never" if seconds is None else f"after {seconds:.1f} s"
