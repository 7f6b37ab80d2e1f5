"""How tasks that run all the time fare before, during and after an outage."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from .findings import Finding, Task, within

#: The time over which a rate is measured, and between two such measurements (seconds).
_WINDOW, _STEP = 0.5, 0.1
#: The part of the former rate that counts as being back.
_BACK = 0.8
#: When tasks should be back (seconds), and from when on none may fail.
BACK_SECONDS = 2.0


def find_recovery(tasks: Sequence[Task], down: float, up: float, over: float) -> Iterator[Finding]:
    """Say how many tasks failed, when as many ran again as before, and whether some failed later still.

    :param down: when the outage began.
    :param up: when it was over.
    :param over: the end of the observation.
    """
    ends = sorted(task.ended for task in tasks if task.ended is not None and not task.has_failed)
    lost = [task for task in tasks if task.has_failed and (task.began or 0) < up + BACK_SECONDS]
    late = [task for task in tasks if task.has_failed and (task.began or 0) >= up + BACK_SECONDS]
    yield Finding(f"{len(lost)} failed meanwhile")
    yield within(seconds_until_back(ends, down, up, over), BACK_SECONDS, "back", watched=over - up)
    if late:
        reason = late[0].error.partition(":")[0] or "hangs"
        yield Finding(f"{len(late)} failed later ({reason})", False)


def seconds_until_back(ends: Sequence[float], down: float, up: float, over: float) -> float | None:
    """Return how long after ``up`` tasks ended as often as before ``down``; None if they never did.

    :param ends: when tasks ended that did not fail, sorted.
    """
    before = _count(ends, down - 2 * _WINDOW, down) / 2
    begin = up
    while before and begin + _WINDOW <= over:
        if _count(ends, begin, begin + _WINDOW) >= _BACK * before:
            return begin - up
        begin += _STEP
    return None


def _count(ends: Sequence[float], begin: float, end: float) -> int:
    return bisect_left(ends, end) - bisect_left(ends, begin)
