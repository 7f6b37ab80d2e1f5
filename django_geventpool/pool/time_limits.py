"""How long a request for a connection may wait, and whose limit that is: an option's, a block's or the task's own."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from . import holder as holders

#: Stands for a timeout that was not given.
AS_CONFIGURED: Any = object()

#: How long before a time limit strikes waits and statements end, so that their task can still act, or its outcome be
#: stored: at the most this (seconds), and at the most this part of the limit.
_NOTICE, _PART = 0.5, 0.1


#: How many seconds a request may wait, None for as long as it takes, and what says so, in words.
WaitLimit = tuple[float | None, str]


class TimeLimits:
    """The time limits of one run of a task.

    A limit that has passed counts no more: the task has caught the soft one, or nobody enforces it.

    :param start: when the task began (monotonic seconds).
    :param soft: seconds after which the task is told to end; None for never.
    :param hard: seconds after which it is ended; None for never.
    :param limits_waits: whether they count for waiting, too, and not for statements alone.
    """

    __slots__ = ("_hard", "_limits_waits", "_soft", "_start")

    def __init__(self, start: float, soft: float | None, hard: float | None, *, limits_waits: bool = True) -> None:
        self._start = start
        self._soft = soft
        self._hard = hard
        self._limits_waits = limits_waits

    def left_to_wait(self) -> tuple[float, str] | None:
        """Return how long the task may wait until shortly before the next limit; None for as long as it likes.

        From then on waits are left to the limit itself: Celery begins to count a moment before, so it may have struck,
        and the task may be cleaning up.
        """
        if not self._limits_waits:
            return None
        found = [
            (round(left, 3), f"all that the task's {kind} time limit of {limit:g} s left")
            for kind, limit in (("soft", self._soft), ("hard", self._hard))
            if limit and (left := self._left(limit) - _notice(limit)) > 0
        ]
        return min(found, default=None)

    def left_to_execute(self) -> float | None:
        """Return the seconds a statement may take until shortly before the hard limit; None for as long as it likes.

        From then on these are all until it strikes: it must leave no statement on the server.
        """
        if not self._hard or (left := self._left(self._hard)) <= 0:
            return None
        notice = _notice(self._hard)
        return left - notice if left > notice else left

    def _left(self, limit: float) -> float:
        """Return the seconds until a limit strikes."""
        return self._start + limit - time.monotonic()


def _notice(limit: float) -> float:
    """Return how long before a limit waits and statements end, in seconds."""
    return min(_NOTICE, limit * _PART)


def _no_limits() -> TimeLimits | None:
    return None


#: Returns the time limits of the task that runs in this greenlet or thread; None without any. Set by
#: ``celery_geventpool``.
current: Callable[[], TimeLimits | None] = _no_limits


def wait_limit(alias: str, timeout: float | None, configured: float | None) -> WaitLimit:
    """Return how long the running greenlet or thread may wait for a connection.

    The caller's own timeout counts, else that of the innermost block, else CONN_WAIT_TIMEOUT; and never for longer than
    the time limits of the task leave.

    :param alias: of the database.
    :param timeout: the caller's own, or AS_CONFIGURED.
    :param configured: CONN_WAIT_TIMEOUT.
    """
    limit: WaitLimit | None = None
    if timeout is not AS_CONFIGURED:
        limit = timeout, "the caller's own timeout"
    elif blocks := _blocks.get():
        limit = next((block.limit for block in reversed(_live(blocks)) if block.alias == alias), None)
    if limit is None:
        limit = holders.limit_wait(configured), "CONN_WAIT_TIMEOUT"
    limits = current()
    left = None if limits is None else limits.left_to_wait()
    return limit if left is None or (limit[0] is not None and limit[0] <= left[0]) else left


class WaitBlock:
    """A context manager: in its block, requests for an alias's connections wait for so many seconds at the most.

    :param alias: of the database.
    :param seconds: 0 fails at once when the pool is full; None waits without limit.
    """

    def __init__(self, alias: str, seconds: float | None) -> None:
        self.alias = alias
        self.limit: WaitLimit = seconds, "wait_timeout"
        #: Whether the block has ended: what was started in it may have inherited the context.
        self.is_over = False

    def __enter__(self) -> None:
        """Begin the block."""
        _blocks.set((*map(weakref.ref, _live(_blocks.get())), weakref.ref(self)))

    def __exit__(self, *_error: object) -> None:
        """End the block."""
        self.is_over = True
        _blocks.set(tuple(map(weakref.ref, _live(_blocks.get()))))


_Blocks = tuple["weakref.ref[WaitBlock]", ...]

#: The blocks that are under way, the innermost last. Weak: the ``with`` statement keeps its block, so one whose end was
#: interrupted, before or in ``__exit__``, is over all the same.
_blocks: ContextVar[_Blocks] = ContextVar("django_geventpool_wait_blocks", default=())


def _live(blocks: _Blocks) -> list[WaitBlock]:
    return [block for reference in blocks if (block := reference()) is not None and not block.is_over]
