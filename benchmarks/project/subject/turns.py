"""A queue for a few things, as plain as can be: contenders that are no pool wait here."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from typing import Any


class Turns:
    """Things that are taken and put back; who has to wait gets one in the order of asking.

    What that costs doesn't depend on how many wait. gevent's own queues go through all of them whenever one gets
    something.

    :param things: those to begin with.
    """

    def __init__(self, things: Iterable[Any]) -> None:
        self._free = list(things)
        #: For each that waits, a lock that is released when there is something at the end of its list.
        self._waiting: deque[tuple[threading.Lock, list[Any]]] = deque()

    def take(self) -> Any:
        """Return one of the things, the last that was put back, when there is one."""
        if self._free:
            return self._free.pop()
        gate, given = threading.Lock(), []
        gate.acquire()
        self._waiting.append((gate, given))
        gate.acquire()
        return given.pop()

    def put(self, thing: Any) -> None:
        """Give a thing to whoever has waited for longest, or keep it."""
        if not self._waiting:
            self._free.append(thing)
            return
        gate, given = self._waiting.popleft()
        given.append(thing)
        gate.release()
