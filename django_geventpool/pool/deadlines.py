"""When waiters are to be told that their time is over."""

from __future__ import annotations

import math
from collections import OrderedDict

from .slot import Request


class Deadlines:
    """The deadlines of the requests that wait.

    Requests that are as patient as each other come in the order of their deadlines. So there is a queue for each
    patience, nearly always one, and the cost of an entry doesn't grow with their number.
    """

    def __init__(self) -> None:
        #: By seconds to wait, the earliest deadline first.
        self._queues: dict[float, OrderedDict[Request, None]] = {}

    def add(self, request: Request) -> None:
        """Note the deadline of a request that is about to wait, if it has one."""
        if request.timeout is None:
            return
        queue = self._queues.setdefault(request.timeout, OrderedDict())
        last = next(reversed(queue), None)
        queue[request] = None
        if last is not None and _deadline(request) < _deadline(last):
            # It has waited before, and begins again.
            self._queues[request.timeout] = OrderedDict.fromkeys(sorted(queue, key=_deadline))

    def remove(self, request: Request) -> None:
        """Forget the deadline of a request that waits no more."""
        if request.timeout is None:
            return
        queue = self._queues[request.timeout]
        del queue[request]
        if not queue:
            del self._queues[request.timeout]

    def first(self) -> Request | None:
        """Return the request whose time is over next; None if all can wait for ever."""
        return min((next(iter(queue)) for queue in self._queues.values()), key=_deadline, default=None)

    def next(self) -> float:
        """Return the earliest deadline (monotonic seconds), infinite if there is none."""
        first = self.first()
        return math.inf if first is None else _deadline(first)


def _deadline(request: Request) -> float:
    assert request.deadline is not None
    return request.deadline
