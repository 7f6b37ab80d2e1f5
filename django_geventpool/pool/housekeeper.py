"""The housekeeper: a thread or greenlet of each pool that does what must be done when nobody asks."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable

from .. import green

logger = logging.getLogger("geventpool.pool")


class Housekeeper:
    """Runs ``work`` again and again, each time when it asked for or when it is woken.

    :param work: does what is due, and returns the seconds until more is due, None if that is not known, or a
        negative number to end.
    """

    def __init__(self, work: Callable[[], float | None]) -> None:
        self._work = work
        self._started = False
        self._gate = threading.Lock()
        self._gate.acquire()

    def start(self) -> None:
        """Start the thread or greenlet unless it runs."""
        if not self._started:
            self._started = True
            try:
                green.start_thread(self._run)
            except RuntimeError:
                self._started = False  # The interpreter is shutting down and starts no more threads.

    def wake(self) -> None:
        """Have the work done now. Waits for nothing and takes no lock: it may be called from anywhere."""
        # The gate is open if it has been woken and is yet to run.
        with contextlib.suppress(RuntimeError):
            self._gate.release()

    def _run(self) -> None:
        has_ended = False
        try:
            self._keep_working()
            has_ended = True
        finally:
            self._started = False
            if not has_ended:
                self.start()  # It was killed; those who wait rely on it.

    def _keep_working(self) -> None:
        pause: float | None = 0.0
        while pause is None or pause >= 0:
            self._gate.acquire(timeout=-1 if pause is None else min(pause, threading.TIMEOUT_MAX))
            try:
                pause = self._work()
            except Exception:
                # Without a housekeeper, ended holders would keep their connections for ever.
                logger.exception("The pool's housekeeping failed; trying again in a second")
                pause = 1.0
