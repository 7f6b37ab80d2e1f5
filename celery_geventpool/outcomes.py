"""What becomes of tasks that don't tell it themselves, stored in the order in which it came about.

Celery stores that a task was revoked, or isn't known, in a greenlet or thread that has many things to do: it kills one
task after the other, or takes messages from the broker. With a result backend in the database it would wait there for
a connection that the next task on its list holds. So a clerk does it, in a greenlet or thread that lives as long as
there is something to store. Whoever hands it over waits until it is stored or, if that takes a connection of a pool,
until the clerk asks for one. Result backends that need none work as they do without this package.
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

#: How long a greenlet or thread that was started may take to begin, until it is taken to have been killed (seconds).
_PATIENCE = 1.0
#: How often to look whether everything is done, at the end of a worker (seconds).
_LOOK_INTERVAL = 0.02

logger = logging.getLogger("geventpool.worker")


class _Item:
    """Something to do."""

    __slots__ = ("call", "error", "is_detached", "may_go_on", "what")

    def __init__(self, call: Callable[[], object], what: str) -> None:
        self.call = call
        self.what = what
        self.error: BaseException | None = None
        #: Set when it is done, and when nobody should wait for it any more.
        self.may_go_on = threading.Event()
        #: Whether it is left to the clerk, errors and all.
        self.is_detached = False


class Clerk:
    """Does one thing after the other, with one connection of each pool, which it gives back when nothing is left."""

    def __init__(self) -> None:
        #: What is to be done; what is being done is the first.
        self._items: deque[_Item] = deque()
        #: Held by the greenlet or thread that works.
        self._duty = threading.Lock()
        #: Its identifier, None while nobody works.
        self._ident: int | None = None
        #: Until when one that was started may take to begin, so that no other is needed (monotonic seconds).
        self._patient_until = 0.0
        #: Whether it has asked for a connection since it began.
        self._has_asked = False

    def do(self, call: Callable[[], object], what: str) -> bool:
        """Have a function called, after those that were handed over before; return whether that is over.

        :param what: says in the log what could not be done.
        :return: False if it is left to the clerk, which waits for a connection: then errors go to the log.
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
        """Wait until nothing is left to do, so many seconds at the most; return whether that is so."""
        deadline = time.monotonic() + timeout
        while self._items and time.monotonic() < deadline:
            self._start()
            time.sleep(_LOOK_INTERVAL)
        return not self._items

    def pending(self) -> list[str]:
        """Return what is still to be done."""
        return [item.what for item in list(self._items)]

    def _start(self) -> None:
        """Have somebody work, unless one does: the last may have been killed before its first step."""
        if self._duty.locked() or time.monotonic() < self._patient_until:
            return
        try:
            green.start_thread(self._work)
            self._patient_until = time.monotonic() + _PATIENCE
        except RuntimeError:
            self._work()  # There are no more threads to be had: too many, or the interpreter is shutting down.

    def _work(self) -> None:
        # Two may have been started.
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
            if self._items:  # They came when this was on its way out, or it was killed.
                self._start()

    def _do_all(self) -> None:
        while self._items:
            self._do(self._items[0])

    def _do(self, item: _Item) -> None:
        try:
            item.call()
        except BaseException as error:
            if _is_kill(error):
                item.is_detached = True  # The kill was meant for this greenlet, not for the one that waits.
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
        """Let all go that wait: from here on it may take time."""
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
    """Return the clerk of this process, made when first asked for."""
    return Clerk()


def _is_clean(wrapper: BaseDatabaseWrapper) -> bool:
    """Tell whether a wrapper's connection can serve for the next thing to do."""
    return wrapper.autocommit and not wrapper.errors_occurred


def _is_kill(error: BaseException) -> bool:
    """Tell whether an error is what greenlets are killed with."""
    greenlet = sys.modules.get("greenlet")
    return greenlet is not None and isinstance(error, greenlet.GreenletExit)
