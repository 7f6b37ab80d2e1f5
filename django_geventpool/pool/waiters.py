"""The requests that wait for a connection, in the order in which they asked, and their deadlines."""

from __future__ import annotations

import bisect
import itertools
import math
from collections import OrderedDict, deque
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
    """The deadlines of the requests that wait, in order.

    Each request may have a timeout of its own, such as what a task's time limit leaves: to insert or remove one in the
    middle moves pointers in memory. Mostly all have the same, and then come last and go first, which moves nothing,
    however many wait.
    """

    def __init__(self) -> None:
        #: Deadline (monotonic seconds), ticket and request, the earliest deadline first.
        self._entries: deque[tuple[float, tuple[bool, int], Request]] = deque()

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, request: Request) -> None:
        """Record the deadline of a request that is about to wait, if it has one."""
        if request.deadline is None:
            return
        entry = (request.deadline, request.ticket, request)
        if not self._entries or self._entries[-1][:2] < entry[:2]:
            self._entries.append(entry)
        else:
            bisect.insort(self._entries, entry)

    def remove(self, request: Request) -> None:
        """Forget the deadline of a request that waits no more."""
        if request.deadline is None:
            return
        if self._entries[0][-1] is request:
            self._entries.popleft()
            return
        index = bisect.bisect_left(self._entries, (request.deadline, request.ticket))
        assert self._entries[index][-1] is request
        del self._entries[index]

    def first(self) -> Request | None:
        """Return the request whose time is over next; None if all can wait for ever."""
        return self._entries[0][-1] if self._entries else None

    def next(self) -> float:
        """Return the earliest deadline (monotonic seconds), infinite if there is none."""
        return self._entries[0][0] if self._entries else math.inf
