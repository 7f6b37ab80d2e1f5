"""The pool's lock."""

from __future__ import annotations

import contextvars
import time
from collections.abc import Callable
from typing import Any, TypeVar

from ..frames import is_running

R = TypeVar("R")

#: How long to wait before trying again what somebody else has the lock for (seconds): least, and most.
_PAUSE = (0.00001, 0.001)


class ReentryError(RuntimeError):
    """Code that ran in the middle of the pool's own work, such as a finalizer, asked for more of it."""


def is_refusal(error: RuntimeError) -> bool:
    """Tell whether an error is that of a context which somebody else is in, caught where it was to be entered.

    One that comes from within has been through other functions. Near the limit of recursion there may be none.
    """
    traceback = error.__traceback__
    return traceback is not None and traceback.tb_next is None and not isinstance(error, RecursionError)


class Lock:
    """Has one function at a time run, and whatever interrupts one is not held against the next.

    An exception out of a signal handler, such as that of a soft time limit, may arrive between any two steps of Python
    code: after a lock was acquired and before anybody knows, in a ``finally`` before it is released, and in the middle
    of bookkeeping. So this lock is entered and left in C: a context of ``contextvars`` runs one function at a time,
    refuses a second with an error, and is left however the function ends. And who comes after a function that did not
    reach its end repairs first what that has left half done.

    Nobody waits for long: functions that run here wait for nothing.

    :param repair: puts in order what a function that was interrupted has left. It may be interrupted, too.
    """

    __slots__ = ("_context", "_is_intact", "_repair")

    def __init__(self, repair: Callable[[], object]) -> None:
        self._context = contextvars.Context()
        self._repair = repair
        #: Whether the last function has reached its end.
        self._is_intact = True

    def run(self, function: Callable[..., R], *arguments: Any) -> R:
        """Return what a function returns that runs while no other does.

        :raises ReentryError: in the middle of such a function: in a finalizer that a garbage collection runs there.
        """
        pause = _PAUSE[0]
        while True:
            try:
                return self._context.run(self._run, function, arguments)
            except RuntimeError as error:
                if not is_refusal(error):
                    raise  # It comes from within the function.
                if self.is_mine():
                    raise ReentryError(
                        "a finalizer has asked for a connection in the middle of the pool's own work: finalizers "
                        "(__del__, weakref callbacks) should not query"
                    ) from None
            time.sleep(pause)
            pause = min(2 * pause, _PAUSE[1])

    def _run(self, function: Callable[..., R], arguments: tuple[Any, ...]) -> R:
        if not self._is_intact:
            self._repair()
        self._is_intact = False
        result = function(*arguments)
        self._is_intact = True
        return result

    def is_mine(self) -> bool:
        """Return whether the running greenlet or thread is in the middle of such a function."""
        return is_running(self._run.__code__, self)
