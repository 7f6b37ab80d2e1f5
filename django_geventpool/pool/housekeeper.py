"""The housekeeper: a thread or greenlet of each pool that does the timed work."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable

from .. import green

logger = logging.getLogger("geventpool.pool")

#: How long a greenlet or thread may take to begin before it is taken to have been killed, in seconds.
_PATIENCE = 1.0

#: Longest sleep under a green framework, where native threads may not be able to wake it, in seconds.
_PAUSE_UNWOKEN = 2.0


class Housekeeper:
    """A thread or greenlet that runs ``work`` whenever that is due, or it is woken.

    :param work: does what is due, and returns the seconds until more is due, None if that is not known, or a negative
        number to end.
    """

    def __init__(self, work: Callable[[], float | None]) -> None:
        self._work = work
        #: Until when a thread or greenlet that was started may take to begin (monotonic seconds): no need for another.
        self._patient_until = 0.0
        #: Held by the thread or greenlet that works.
        self._duty = threading.Lock()
        #: The only native thread that it can wake waiters of; None if it can wake all.
        self._thread: int | None = None
        self._gate = threading.Lock()
        self._gate.acquire()

    @property
    def is_running(self) -> bool:
        """Whether there is a thread or greenlet that works."""
        return self._duty.locked()

    def watches(self, waking_thread: int | None) -> bool:
        """Return whether the housekeeper wakes waiters when their time is over.

        In a native thread beside a hub none can be started, and the hub may not be woken.

        :param waking_thread: the only native thread that can wake them; None if any can.
        """
        return self._duty.locked() and waking_thread == self._thread

    def start(self) -> None:
        """Start the thread or greenlet, unless it runs or this is a native thread beside a green framework's hub."""
        if self._duty.locked() or time.monotonic() < self._patient_until or not green.is_in_main_hub():
            return
        with contextlib.suppress(RuntimeError):  # No thread can be started: too many, or the interpreter ends.
            green.start_thread(self._run)
            self._patient_until = time.monotonic() + _PATIENCE

    def wake(self) -> None:
        """Make the work run now. Waits for nothing and takes no lock: it may be called from anywhere.

        In a native thread beside a hub, which it can't wake, the work runs a little later.
        """
        if not green.is_in_main_hub():
            return
        # The gate is open if it has been woken and is yet to run.
        with contextlib.suppress(RuntimeError):
            self._gate.release()

    def _run(self) -> None:
        # Two may have been started, if the first start was interrupted before it was recorded.
        if not self._duty.acquire(blocking=False):
            return
        has_ended = False
        try:
            self._thread = green.waking_thread()
            self._keep_working()
            has_ended = True
        finally:
            self._patient_until = 0.0
            self._duty.release()
            if not has_ended:
                self.start()  # It was killed, and waiters rely on it.

    def _keep_working(self) -> None:
        pause: float | None = 0.0
        while pause is None or pause >= 0:
            self._gate.acquire(timeout=_longest_pause() if pause is None else min(pause, threading.TIMEOUT_MAX))
            try:
                pause = self._work()
            except Exception as error:  # noqa: BLE001  it is logged
                # Without a housekeeper, ended holders would keep their connections for ever.
                log_in_background(
                    logger.error, "The pool's housekeeping failed; trying again in a second", exc_info=error
                )
                pause = 1.0


def _longest_pause() -> float:
    """Return how long to sleep if nothing is planned (seconds); -1 for until somebody wakes it."""
    return -1 if green.active() == "threads" else _PAUSE_UNWOKEN


def log_in_background(log: Callable[..., None], *message: object, **options: object) -> None:
    """Log something in a greenlet or thread of its own: a handler may be slow, fail, or want a connection itself."""
    with contextlib.suppress(RuntimeError):  # No thread can be started.
        green.start_thread(lambda: log(*message, **options))
