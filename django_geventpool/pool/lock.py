"""The pool's lock."""

from __future__ import annotations

import contextvars
import time
from collections.abc import Callable
from typing import Any, TypeVar

from ..frames import is_running

R = TypeVar("R")

#: Shortest and longest pause before another attempt to enter, in seconds.
_PAUSE = (0.00001, 0.001)


class ReentryError(RuntimeError):
    """The pool was asked for something in the middle of its own work, as by a finalizer."""


def is_refusal(error: RuntimeError) -> bool:
    """Return whether an error is a context's refusal to be entered twice, caught where it was to be entered.

    An error from inside the context has further functions in its traceback, save perhaps a RecursionError.
    """
    traceback = error.__traceback__
    return traceback is not None and traceback.tb_next is None and not isinstance(error, RecursionError)


class Lock:
    """A lock that runs one function at a time, and that no interruption leaves locked.

    An exception out of a signal handler, such as that of a soft time limit, may arrive between any two steps of Python
    code: just after a lock was acquired, in a ``finally`` before it is released, in the middle of bookkeeping. So this
    lock is entered and left in C: a context of ``contextvars`` runs one function at a time, refuses a second with an
    error, and is left however the function ends. If a function did not reach its end, the next caller first repairs
    what it has left half done.

    Nobody waits for long, as functions that run here don't wait for anything.

    :param repair: puts in order what an interrupted function has left. It may be interrupted, too.
    """

    __slots__ = ("_context", "_is_intact", "_repair")

    def __init__(self, repair: Callable[[], object]) -> None:
        self._context = contextvars.Context()
        self._repair = repair
        #: Whether the last function has reached its end.
        self._is_intact = True

    def run(self, function: Callable[..., R], *arguments: Any) -> R:
        """Run a function while no other runs, and return what it returns.

        :raises ReentryError: in the middle of another such function, as in a finalizer that runs there.
        """
        pause = _PAUSE[0]
        while True:
            try:
                return self._context.run(self._run, function, arguments)
            except RuntimeError as error:
                if not is_refusal(error):
                    raise  # It comes from inside the function.
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
        return is_running((self._run.__code__,), self)
