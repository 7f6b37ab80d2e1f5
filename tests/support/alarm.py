"""Exceptions out of a signal handler at a moment of what the main thread does."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from types import FrameType

from .errors_thrown import SoftLimit
from .tasks import FRAMEWORK, framework_timeout

#: When a main thread that gets no further is given up, in seconds.
STUCK_AFTER = 12.0


class StuckError(BaseException):
    """The main thread waits for something that does not come."""


class Alarm:
    """Raises SoftLimit in the main thread, once for each time that it is set, unless it is called off before.

    Made and used in the main thread, within `installed`. There nothing can be stuck for ever: what takes longer than
    STUCK_AFTER raises StuckError.
    """

    def __init__(self) -> None:
        self._is_set = False
        #: When it was called off last (monotonic seconds).
        self._called_off_at = 0.0
        #: What it raised last.
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
        """Raise after so many seconds."""
        self.raised = None
        self._is_set = True
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def call_off(self) -> None:
        """Raise no more, unless something is stuck."""
        self._is_set = False
        self._called_off_at = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, STUCK_AFTER)

    def _ring(self, _number: int, _frame: FrameType | None) -> None:
        signal.setitimer(signal.ITIMER_REAL, STUCK_AFTER)
        if not self._is_set:
            if time.monotonic() - self._called_off_at < STUCK_AFTER / 2:
                return  # It rang just before it was called off.
            raise StuckError(f"the main thread has been stuck for {STUCK_AFTER} s")
        self._is_set = False
        self.raised = SoftLimit()
        raise self.raised


@contextlib.contextmanager
def never_stuck() -> Iterator[None]:
    """End what the main thread, or the running greenlet, does within this block, if that takes too long."""
    with framework_timeout(STUCK_AFTER) if FRAMEWORK != "threads" else Alarm().installed():
        yield
