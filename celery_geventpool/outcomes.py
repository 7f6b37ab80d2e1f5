"""Stores the outcomes of tasks that can't store them themselves, in order.

Celery stores that a task was revoked, or is unknown, in a greenlet or thread with other duties: it kills one task after
the other, or takes messages from the broker. With a result backend in the database, it would wait there for a
connection that the next task on its list holds. So a clerk stores it, in a greenlet or thread that lives as long as
there is something to store. Its caller waits until that is done or, if it takes a connection of a pool, until the
clerk asks for one. Result backends that need none work as they do without this package.
"""

from __future__ import annotations

import functools
import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from django_geventpool import green
from django_geventpool.taken import connected

from .own_work import Scope, release

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

#: After how many seconds a greenlet or thread that was started and hasn't begun counts as killed.
_PATIENCE = 1.0
#: The pause between looks whether everything is done, at the end of a worker (seconds).
_LOOK_INTERVAL = 0.02

logger = logging.getLogger("geventpool.worker")


class _Item:
    """A call that the clerk is to make."""

    __slots__ = ("call", "error", "is_detached", "may_go_on", "what")

    def __init__(self, call: Callable[[], object], what: str) -> None:
        self.call = call
        self.what = what
        self.error: BaseException | None = None
        #: Set when the call has returned, or its caller shall wait no longer.
        self.may_go_on = threading.Event()
        #: Whether its caller waits no longer: errors go to the log.
        self.is_detached = False


class Clerk:
    """Makes one call after the other, with one connection of each pool, given back when no call is left."""

    def __init__(self) -> None:
        #: The calls to make; the first is being made.
        self._items: deque[_Item] = deque()
        #: Held by the greenlet or thread that works.
        self._duty = threading.Lock()
        #: The identifier of that greenlet or thread; None while none works.
        self._ident: int | None = None
        #: Until when one that was started may take to begin, before another one is (monotonic seconds).
        self._patient_until = 0.0
        #: Whether the one that works has asked for a connection.
        self._has_asked = False

    def do(self, call: Callable[[], object], what: str) -> bool:
        """Make the clerk call a function, after those given to it before; return whether the call is over.

        :param what: what the log says if the call fails, or isn't made before the worker ends.
        :return: False if the clerk has to wait for a connection and makes the call later; errors go to the log then.
        :raises BaseException: what the function raises.
        """
        if self._ident == threading.get_ident():
            call()
            return True
        item = _Item(call, what)
        self._items.append(item)
        if self._has_asked:
            item.is_detached = True
        self._start()
        if not item.is_detached and green.may_wait():
            try:
                while not item.may_go_on.wait(_PATIENCE):
                    self._start()
            except BaseException:
                item.is_detached = True
                raise
        else:
            item.is_detached = True
        if item.error is not None:
            raise item.error
        return not item.is_detached

    def wait(self, timeout: float) -> bool:
        """Wait until no call is left, for a number of seconds at the most; return whether none is."""
        deadline = time.monotonic() + timeout
        while self._items and time.monotonic() < deadline:
            self._start()
            time.sleep(_LOOK_INTERVAL)
        return not self._items

    def pending(self) -> list[str]:
        """Return the descriptions of the calls that are left."""
        return [item.what for item in list(self._items)]

    def _start(self) -> None:
        """Start a greenlet or thread unless one works or was just started: one may be killed before it begins."""
        if self._duty.locked() or time.monotonic() < self._patient_until:
            return
        try:
            green.start_thread(self._work)
            self._patient_until = time.monotonic() + _PATIENCE
        except RuntimeError:
            self._work()  # No thread could be started: there are too many, or the interpreter is shutting down.

    def _work(self) -> None:
        # Two threads may have been started.
        if not self._duty.acquire(blocking=False):
            return
        try:
            self._ident = threading.get_ident()
            Scope(is_patient=True, before_asking=self._release).run(self._do_all)
        finally:
            self._ident = None
            self._has_asked = False
            self._patient_until = 0.0
            self._duty.release()
            if self._items:  # They came while this one was ending, or it was killed.
                self._start()

    def _do_all(self) -> None:
        while self._items:
            self._do(self._items[0])

    def _do(self, item: _Item) -> None:
        try:
            item.call()
        except BaseException as error:
            if _is_kill(error):
                item.is_detached = True  # The kill was meant for this greenlet, not for its caller.
            if not item.is_detached:
                item.error = error
                return
            logger.exception(item.what)
            if not isinstance(error, Exception):
                raise
        finally:
            self._items.popleft()
            item.may_go_on.set()
            release(but=[wrapper for wrapper in connected() if _is_clean(wrapper)])

    def _release(self) -> None:
        """Allow all callers to go on: from here on the clerk may have to wait."""
        if self._has_asked:
            return
        self._has_asked = True
        waiting = list(self._items)
        for item in waiting:
            item.is_detached = True
        for item in waiting:
            item.may_go_on.set()


@functools.cache
def clerk() -> Clerk:
    """Return the clerk of this process; the first call makes it."""
    return Clerk()


def _is_clean(wrapper: BaseDatabaseWrapper) -> bool:
    """Return whether a wrapper's connection can be used for the next call."""
    return wrapper.autocommit and not wrapper.errors_occurred


def _is_kill(error: BaseException) -> bool:
    """Return whether an error is the one that greenlets are killed with."""
    greenlet = sys.modules.get("greenlet")
    return greenlet is not None and isinstance(error, greenlet.GreenletExit)
