"""Taking turns at a full server, with processes that a pool knows nothing of."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

#: For how long at least a pool keeps each of its connections while others are known to want it, in seconds.
TURN = 8.0

#: Least and most time between two looks whether the server is full, while nobody else is known to want a connection, in
#: seconds. Each is twice the one before, as processes that start together soon learn what each of them can have.
PROBE_INTERVAL = (1.0, 10.0)

#: For how long a server that was full is taken to be so still, in seconds.
FULL_FOR = 60.0

#: How long a connection of such a server may be idle, in seconds.
IDLE_AT_FULL_SERVER = 5.0


class Turns:
    """When a pool gives one of its connections up, although there are tasks that wait for it.

    A pool that has all that it may have connects no more, and so hears nothing of others that find the server full:
    they would wait until it has nothing to do. So now and then, when a connection comes back and somebody waits for
    it, the pool asks over it whether the server is full. If so, it closes the connection, and leaves the room to others
    for longer than a pool with few connections pauses between its attempts. If somebody has taken it, there will be
    another turn soon, for a pool with many connections sooner than for one with few. If the pool gets all back that it
    may have, it asks less often, and again less often each time.

    The only connection is never given up: each process needs room for one.

    The pool calls each method with its lock held.

    :param clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        #: How long the next pause will be if nobody else is known to want a connection.
        self._look = PROBE_INTERVAL[0]
        #: No question before.
        self._next = clock() + self._look
        #: Whether others are known to want more connections than there are.
        self._is_contested = False
        #: When the server was last known to be full.
        self._full_at = -math.inf

    def is_over(self, size: int) -> bool:
        """Tell whether to ask if the server is full, of a pool with so many connections; begin the next turn if so."""
        now = self._clock()
        if size < 2 or now < self._next:
            return False
        self._begin(size)
        return True

    def _begin(self, size: int) -> None:
        if self._is_contested and self._clock() - self._full_at <= FULL_FOR:
            pause = TURN / size
        else:
            pause = self._look
            self._look = min(2 * pause, PROBE_INTERVAL[1])
        self._next = self._clock() + pause * random.uniform(0.75, 1.25)

    def step_aside(self) -> None:
        """Note that a connection was given up: nobody else wants it, until it turns out that somebody does."""
        self._full_at = self._clock()
        self._is_contested = False

    def refused(self, size: int) -> None:
        """Note that the server was full: others have what this pool would like."""
        self._full_at = self._clock()
        if not self._is_contested:
            self._is_contested = True
            self._look = PROBE_INTERVAL[0]
            self._begin(max(1, size))

    def idle_timeout(self, usual: float | None) -> float | None:
        """Return how long a connection may be idle, seconds: less than usual if others may be in need of it."""
        if self._clock() - self._full_at > FULL_FOR:
            return usual
        return IDLE_AT_FULL_SERVER if usual is None else min(usual, IDLE_AT_FULL_SERVER)
