"""Raises exceptions in the main thread, out of a signal handler, at any moment."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from types import FrameType

from .errors_thrown import SoftLimit
from .tasks import FRAMEWORK, framework_timeout

#: After how many seconds a main thread that makes no progress is given up.
STUCK_AFTER = 12.0


class StuckError(BaseException):
    """The main thread waited for something that did not come."""


class Alarm:
    """Raises SoftLimit in the main thread, once each time it is set, unless it is called off before.

    It is made and used in the main thread, within ``installed``, where nothing can hang for ever: StuckError is raised
    after STUCK_AFTER.
    """

    def __init__(self) -> None:
        self._is_set = False
        #: When it was last called off (monotonic seconds).
        self._called_off_at = 0.0
        #: The last exception that it raised.
        self.raised: SoftLimit | None = None

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Handle SIGALRM within this block."""
        before = signal.signal(signal.SIGALRM, self._ring)
        try:
            self.call_off()
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def set(self, seconds: float) -> None:
        """Raise after a number of seconds."""
        self.raised = None
        self._is_set = True
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def call_off(self) -> None:
        """Raise nothing but StuckError from now on."""
        self._is_set = False
        self._called_off_at = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, STUCK_AFTER)

    def _ring(self, _number: int, _frame: FrameType | None) -> None:
        signal.setitimer(signal.ITIMER_REAL, STUCK_AFTER)
        if not self._is_set:
            if time.monotonic() - self._called_off_at < STUCK_AFTER / 2:
                return  # The signal came just before the alarm was called off.
            raise StuckError(f"the main thread has been stuck for {STUCK_AFTER} s")
        self._is_set = False
        self.raised = SoftLimit()
        raise self.raised


@contextlib.contextmanager
def never_stuck() -> Iterator[None]:
    """Interrupt the main thread, or the current greenlet, if this block takes too long."""
    with framework_timeout(STUCK_AFTER) if FRAMEWORK != "threads" else Alarm().installed():
        yield
