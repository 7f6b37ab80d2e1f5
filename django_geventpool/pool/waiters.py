"""Those who wait for a connection."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Iterable

from .deadlines import Deadlines
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
        """Queue a request: last, or, when it was served before in vain, where it would be now."""
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
        """Return when its time is over (monotonic seconds); infinite if there is none."""
        return self._deadlines.next()
