"""Throws an exception into a greenlet at one of its switches."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Iterator
from typing import Any, Literal

import greenlet

from .tasks import FRAMEWORK

#: Whether the exception comes while the greenlet waits, as soon as the hub has its turn, or in the very moment in which
#: it would have gone on, instead of what it waited for.
Moment = Literal["waiting", "going on"]
MOMENTS: tuple[Moment, ...] = ("waiting", "going on")


class SwitchFault:
    """Counts how often greenlets stop to wait, and throws when they do so for the `at`-th time.

    :param is_meant: tells whether a greenlet is one of them.
    :param at: at which switch to throw, from 1; 0 for none.
    """

    def __init__(
        self, is_meant: Callable[[greenlet.greenlet], bool], at: int, moment: Moment, error: BaseException
    ) -> None:
        self._is_meant = is_meant
        self._at = at
        self._moment = moment
        self._error = error
        #: The one that is to be hit next time that it goes on.
        self._doomed: greenlet.greenlet | None = None
        self.switches = 0
        self.has_fired = False
        #: Where the greenlet was, innermost last.
        self.where: list[str] = []

    @contextlib.contextmanager
    def armed(self) -> Iterator[None]:
        """Count and throw within this block, in greenlets of this thread."""
        before = greenlet.settrace(self._trace)
        try:
            yield
        finally:
            greenlet.settrace(before)

    def _trace(self, event: str, args: tuple[greenlet.greenlet, greenlet.greenlet]) -> None:
        origin, target = args
        if target is self._doomed:
            self._doomed = None
            self.has_fired = True
            raise self._error  # It comes out where the target waited.
        # One that has ended has not stopped to wait.
        if not origin.dead and self._is_meant(origin):
            self.switches += 1
            if self.switches == self._at:
                self._hit(origin)

    def _hit(self, victim: greenlet.greenlet) -> None:
        self.where = stack_of(victim)
        if self._moment == "going on":
            self._doomed = victim
        elif FRAMEWORK == "gevent":
            import gevent

            gevent.get_hub().loop.run_callback(self._throw, victim)
        else:
            from eventlet import hubs

            hubs.get_hub().schedule_call_global(0, self._throw, victim)

    def _throw(self, victim: greenlet.greenlet) -> None:
        if not victim.dead:
            self.has_fired = True
            victim.throw(self._error)


def stack_of(waiting: greenlet.greenlet) -> list[str]:
    """Return the lines at which a greenlet waits, innermost last, as file:line function."""
    return lines_of(getattr(waiting, "gr_frame", None))


def lines_of(frame: Any) -> list[str]:
    """Return the lines of a frame and those that it was called from, innermost last, as file:line function."""
    return [
        f"{_short(entry.filename)}:{entry.lineno} {entry.name}"
        for entry in traceback.StackSummary.extract(
            ((frame, line) for frame, line in reversed(list(traceback.walk_stack(frame)))), lookup_lines=False
        )
    ]


def _short(filename: str) -> str:
    """The last three parts of a path."""
    return "/".join(filename.split("/")[-3:])
