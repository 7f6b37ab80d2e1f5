"""When waiters are to be told that their time is over."""

from __future__ import annotations

import bisect
import math
from collections import deque
from collections.abc import Container

from .slot import Request


class Deadlines:
    """The deadlines of requests that wait, and of some that don't any more: those are found out late, and all at once.

    Requests that are as patient as each other come in the order of their deadlines. So there is a queue for each
    patience, nearly always one, and the cost of an entry doesn't grow with their number.

    :param waiting: the requests that wait.
    """

    def __init__(self, waiting: Container[Request]) -> None:
        self._waiting = waiting
        #: By seconds to wait, the earliest deadline first.
        self._queues: dict[float, deque[Request]] = {}

    def add(self, request: Request) -> None:
        """Note the deadline of a request that is about to wait, if it has one."""
        if request.deadline is None or request.timeout is None:
            return
        queue = self._queues.setdefault(request.timeout, deque())
        self._prune(queue)
        if queue and request.deadline < _deadline(queue[-1]):
            bisect.insort(queue, request, key=_deadline)  # It has waited before, and begins again.
        else:
            queue.append(request)

    def pop_late(self, now: float) -> Request | None:
        """Return a request that waits though its time is over, and forget its deadline; None if there is none."""
        for queue in self._queues.values():
            self._prune(queue)
            if queue and _deadline(queue[0]) <= now:
                return queue.popleft()
        return None

    def next(self) -> float:
        """Return the earliest deadline (monotonic seconds), infinite if there is none."""
        for timeout in [timeout for timeout, queue in self._queues.items() if not queue]:
            del self._queues[timeout]
        return min((_deadline(queue[0]) for queue in self._queues.values()), default=math.inf)

    def _prune(self, queue: deque[Request]) -> None:
        """Drop the deadlines of those that wait no more, up to the first of one that does."""
        while queue and queue[0] not in self._waiting:
            queue.popleft()


def _deadline(request: Request) -> float:
    assert request.deadline is not None
    return request.deadline
