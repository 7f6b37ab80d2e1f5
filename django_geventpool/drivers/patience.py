"""How long a connect waits for one address, where it is not libpq that waits."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from .waiting import POLLIN, Wait

#: How often to look whether another connect has found meanwhile that nobody answers there, in seconds.
_GLANCE = 0.25


def never() -> bool:
    """Return that there is hope."""
    return False


class Attempt:
    """A connect to one address.

    :param is_dead: whether another connect has found meanwhile that nobody answers there.
    """

    def __init__(self, is_dead: Callable[[], bool] = never) -> None:
        self.is_dead = is_dead
        #: Whether anything has come from there, as far as is known: libpq's own waits don't say.
        self.is_answered = False

    def is_hopeless(self) -> bool:
        """Return whether to give up before the time is over."""
        return not self.is_answered and self.is_dead()


class Patience:
    """The wait for the answers of one address, from now on.

    :param timeout: the seconds that all of them together may take; None for as long as it takes.
    :param attempt: records that something has come, and may end the wait.
    """

    def __init__(self, timeout: float | None, attempt: Attempt) -> None:
        self._deadline = math.inf if timeout is None else time.monotonic() + timeout
        self._attempt = attempt

    def wait(self, wait: Wait, fd: int, events: int) -> int:
        """Return which events a socket is ready for; 0 if that takes too long, or is hopeless."""
        while (left := self._deadline - time.monotonic()) > 0 and not self._attempt.is_hopeless():
            ready = wait(fd, events, min(left, _GLANCE))
            if ready & POLLIN:
                self._attempt.is_answered = True
            if ready:
                return ready
        return 0

    @property
    def end(self) -> str:
        """Why it is over, in words."""
        reason = (
            "another connect has waited for it in vain" if self._attempt.is_hopeless() else "connect_timeout expired"
        )
        return f"connection to server failed: {reason}"
