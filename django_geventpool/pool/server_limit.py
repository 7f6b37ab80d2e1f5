"""What a full server means: when to try again, how many at a time, and when to leave room to other processes."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from .turns import Turns

#: Least and most pause between attempts to connect to a full server, in seconds.
BACKOFF = (0.05, 1.0)

#: A pool with this part of its limit, or less, pauses for this part of the longest pause at the most. One with more
#: leaves the others more time.
NEEDY = 0.5

#: Least and most time for others after a connection was given up, in parts of the longest pause. The needy pause less.
LEFT_TO_OTHERS = (0.55, 0.8)


class ServerLimit:
    """Keeps off a server that has no room. The pool calls each method with its lock held.

    :param clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._turns = Turns(clock)
        #: While the server is full: the last pause between attempts (seconds), and no connect before this time.
        self.backoff = 0.0
        self.retry_at = 0.0
        #: How many may connect at the same time.
        self.max_connecting = math.inf

    def may_connect(self, connecting: int) -> bool:
        """Return whether another may connect, while so many do.

        After a refusal one tries at a time, after each success one more.
        """
        return not (self.backoff and self._clock() < self.retry_at) and connecting < self.max_connecting

    def connected(self, limit: int) -> bool:
        """Record that the server had room; return whether others, who may not have been allowed to, may connect now."""
        if not self.backoff and self.max_connecting >= limit:
            return False
        self.backoff = self.retry_at = 0.0
        self.max_connecting += 1
        return True

    def refused(self, size: int, limit: int) -> None:
        """Record that the server was full: no connect before a pause, unlike one of our own connections.

        :param size: how many connections the pool has.
        :param limit: how many it may have.
        """
        if self.backoff and self._clock() < self.retry_at:
            return  # Several tried at the same time.
        self._turns.refused(size)
        least, most = BACKOFF
        most *= min(1.0, max(NEEDY, size / limit))
        # Workers that share a full server should not come back all at the same time.
        self._pause(min(max(2 * self.backoff, least), most), random.uniform(0.5, 1))

    def is_turn_over(self, size: int) -> bool:
        """Return whether to ask, over one of so many connections, if others may be waiting for it."""
        return self._turns.is_over(size)

    def step_aside(self) -> None:
        """Record that one of the connections will be closed to leave its room on a full server to other processes."""
        self._turns.step_aside()
        self.leave_to_others()

    def leave_to_others(self) -> None:
        """Have nobody connect for a while: others can have what was given up only when the server has let go of it."""
        self._pause(BACKOFF[1], random.uniform(*LEFT_TO_OTHERS))

    def _pause(self, backoff: float, part: float) -> None:
        self.backoff = backoff
        self.max_connecting = 1
        self.retry_at = max(self.retry_at, self._clock() + backoff * part)

    def next_wake(self, now: float) -> float:
        """Return when waiters may connect again, which they don't notice by themselves; infinite if they may now."""
        return self.retry_at if self.backoff and self.retry_at > now else math.inf

    def idle_timeout(self, usual: float | None) -> float | None:
        """Return how long a connection may be idle, seconds: less than usual if others may be in need of it."""
        return self._turns.idle_timeout(usual)
