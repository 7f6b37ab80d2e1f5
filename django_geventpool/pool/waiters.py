"""The requests that wait for a connection, in the order in which they asked, and their deadlines."""

from __future__ import annotations

import itertools
import math
from collections import OrderedDict
from collections.abc import Iterable

from .slot import Request


class Waiters(OrderedDict[Request, None]):
    """The requests that wait, by ticket, the longest waiter first.

    :param requests: those to begin with, in that order.
    """

    def __init__(self, requests: Iterable[Request] = ()) -> None:
        super().__init__()
        self._deadlines = Deadlines()
        for request in requests:
            self.add(request)

    def add(self, request: Request) -> None:
        """Queue a request: last, or, when it has to wait once more, in its old place."""
        self._deadlines.add(request)
        newest = next(reversed(self), None)
        self[request] = None
        if newest is None or newest.ticket < request.ticket:
            return
        earlier = list(itertools.takewhile(lambda other: other.ticket < request.ticket, self))
        for first in (request, *reversed(earlier)):
            self.move_to_end(first, last=False)

    def remove(self, request: Request) -> None:
        """Forget a request that waits no more."""
        self._deadlines.remove(request)
        del self[request]

    def first_to_give_up(self) -> Request | None:
        """Return the request whose time is over next; None if all can wait for ever."""
        return self._deadlines.first()

    def next_deadline(self) -> float:
        """Return the earliest deadline (monotonic seconds); infinite if there is none."""
        return self._deadlines.next()


class Deadlines:
    """The deadlines of the requests that wait.

    Requests with the same timeout come in the order of their deadlines. So there is a queue for each timeout, nearly
    always one, and adding a request costs the same however many wait.
    """

    def __init__(self) -> None:
        #: By seconds to wait, the earliest deadline first.
        self._queues: dict[float, OrderedDict[Request, None]] = {}

    def add(self, request: Request) -> None:
        """Record the deadline of a request that is about to wait, if it has one."""
        if request.timeout is None:
            return
        queue = self._queues.setdefault(request.timeout, OrderedDict())
        last = next(reversed(queue), None)
        queue[request] = None
        if last is not None and _deadline(request) < _deadline(last):
            # It has to wait once more, with an earlier deadline than the last.
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
