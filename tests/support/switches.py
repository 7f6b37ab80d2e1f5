"""Throws an exception into a greenlet when it stops to wait."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Iterator
from typing import Any, Literal

import greenlet

from .tasks import FRAMEWORK

#: When the exception comes: "waiting", at the hub's next turn, or "going on", at the moment when the greenlet would
#: have gone on, instead of what it waited for.
Moment = Literal["waiting", "going on"]
MOMENTS: tuple[Moment, ...] = ("waiting", "going on")


class SwitchFault:
    """Counts how often greenlets stop to wait, and throws at one of these switches.

    :param is_meant: returns whether a greenlet's switches count.
    :param at: the number of the switch at which to throw, from 1; 0 for none.
    """

    def __init__(
        self, is_meant: Callable[[greenlet.greenlet], bool], at: int, moment: Moment, error: BaseException
    ) -> None:
        self._is_meant = is_meant
        self._at = at
        self._moment = moment
        self._error = error
        #: The greenlet that the exception hits when it next goes on.
        self._doomed: greenlet.greenlet | None = None
        self.switches = 0
        self.has_fired = False
        #: Where the greenlet was, innermost last.
        self.where: list[str] = []

    @contextlib.contextmanager
    def armed(self) -> Iterator[None]:
        """Count and throw within this block, in this thread's greenlets."""
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
            raise self._error  # The trace function's error comes out where the target waited.
        # A greenlet that has ended has not stopped to wait.
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
    """Return the lines at which a greenlet waits, as file:line function, innermost last."""
    return lines_of(getattr(waiting, "gr_frame", None))


def lines_of(frame: Any) -> list[str]:
    """Return the lines of a frame and of its callers, as file:line function, innermost last."""
    return [
        f"{_short(entry.filename)}:{entry.lineno} {entry.name}"
        for entry in traceback.StackSummary.extract(
            ((frame, line) for frame, line in reversed(list(traceback.walk_stack(frame)))), lookup_lines=False
        )
    ]


def _short(filename: str) -> str:
    """Return the last three parts of a path."""
    return "/".join(filename.split("/")[-3:])
