"""What the waits say."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Job:
    """A job that has ended. Times are seconds after the first job came."""

    came: float
    #: When the server began its query; None if it never did.
    began: float | None
    #: The class of its error; empty if it succeeded.
    error: str = ""


@dataclass(frozen=True)
class Fairness:
    """How one contender served the jobs. Waits are seconds from when a job came to when the server began its query."""

    contender: str
    p50: float | None
    p99: float | None
    longest: float | None
    #: How much later than in its turn the unluckiest job was served.
    #:
    #: Its turn is when its query would have begun, had the queries begun when they did, but in the order of arrival.
    behind_turn: float | None
    #: Jobs a second that were served, from the first one's begin to the last one's.
    per_second: float | None
    #: Jobs that failed, or had not ended when the time was up, by reason.
    failed: Mapping[str, int]
    #: The greatest number of connections on the server.
    peak: int


def summarize(contender: str, jobs: Sequence[Job], number: int, peak: int) -> Fairness:
    """Return how a contender served its jobs.

    :param jobs: those that have ended.
    :param number: how many came.
    """
    served = sorted((job.came, job.began) for job in jobs if job.began is not None and not job.error)
    begins = sorted(began for _, began in served)
    waits = sorted(began - came for came, began in served)
    failed = Counter(job.error for job in jobs if job.error)
    if number > len(jobs):
        failed["not ended in time"] = number - len(jobs)
    has_several = len(served) > 1 and begins[-1] > begins[0]
    return Fairness(
        contender=contender,
        p50=statistics.median(waits) if waits else None,
        p99=waits[min(len(waits) - 1, int(len(waits) * 0.99))] if waits else None,
        longest=waits[-1] if waits else None,
        behind_turn=max((began - turn for (_, began), turn in zip(served, begins, strict=True)), default=None),
        per_second=(len(served) - 1) / (begins[-1] - begins[0]) if has_several else None,
        failed=failed,
        peak=peak,
    )


def ideal(number: int, rate: float, capacity: float) -> Fairness:
    """Return the same of jobs that are served in the order of arrival, at no cost."""
    jobs = [Job(came=index / rate, began=max(index / rate, index / capacity)) for index in range(number)]
    return summarize("ideal", jobs, number, 0)


def find_faults(results: Iterable[Fairness], limits: Mapping[str, int | None]) -> list[str]:
    """Return messages about contenders whose jobs failed, or that had too many connections.

    :param limits: of those that must not, by name.
    """
    faults = []
    for result in results:
        if result.contender not in limits:
            continue
        limit = limits[result.contender]
        if result.failed:
            faults.append(f"{result.contender}: {sum(result.failed.values())} jobs failed: {', '.join(result.failed)}")
        if limit is not None and result.peak > limit:
            faults.append(f"{result.contender}: {result.peak} connections, limit {limit}")
    return faults
