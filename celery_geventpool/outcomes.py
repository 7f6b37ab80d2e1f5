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
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from django_geventpool import green
from django_geventpool.taken import connected
from django_geventpool.utils import give_back

from .own_work import Scope

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

logger = logging.getLogger("geventpool.worker")


class _Item:
    """Something to do."""

    __slots__ = ("call", "error", "is_left", "left", "what")

    def __init__(self, call: Callable[[], object], what: str) -> None:
        self.call = call
        self.what = what
        self.error: BaseException | None = None
        #: Set when it is done, and when nobody should wait for it any more.
        self.left = threading.Event()
        #: Whether it is left to the clerk, errors and all.
        self.is_left = False


class Clerk:
    """Does one thing after the other, with one connection of each pool, which it gives back when nothing is left."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._items: deque[_Item] = deque()
        self._current: _Item | None = None
        #: The greenlet or thread that works, None when there is nothing to do.
        self._ident: int | None = None
        #: Whether it has asked for a connection since it began.
        self._has_asked = False
        self._idle = threading.Event()
        self._idle.set()

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
        with self._lock:
            self._items.append(item)
            item.is_left = self._has_asked
            if self._ident is None:
                self._begin()
        if not item.is_left and green.may_wait():
            try:
                item.left.wait()
            except BaseException:
                item.is_left = True
                raise
        else:
            item.is_left = True
        if item.error is not None:
            raise item.error
        return not item.is_left

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until nothing is left to do, so many seconds at the most; return whether that is so."""
        return self._idle.wait(timeout)

    def left(self) -> list[str]:
        """Return what is still to be done."""
        with self._lock:
            current = [self._current] if self._current is not None else []
            return [item.what for item in (*current, *self._items)]

    def _begin(self) -> None:
        """Start to work, under the lock."""
        self._idle.clear()
        self._ident = -1  # Until it knows better.
        try:
            green.start_thread(self._work)
        except BaseException:
            self._ident = None
            self._idle.set()
            raise

    def _work(self) -> None:
        self._ident = threading.get_ident()
        try:
            with Scope(is_patient=True, before_asking=self._release):
                while (item := self._next()) is not None:
                    self._do(item)
        finally:
            with self._lock:
                self._current = self._ident = None
                self._has_asked = False
                if self._items:  # They came when this was on its way out, or it was interrupted.
                    self._begin()
                else:
                    self._idle.set()

    def _next(self) -> _Item | None:
        with self._lock:
            self._current = self._items.popleft() if self._items else None
            return self._current

    def _do(self, item: _Item) -> None:
        try:
            item.call()
        except BaseException as error:
            if not item.is_left:
                item.error = error
                return
            logger.exception(item.what)
            if not isinstance(error, Exception):
                raise
        finally:
            item.left.set()
            give_back(wrapper for wrapper in connected() if not _is_clean(wrapper))

    def _release(self) -> None:
        """Let all go that wait: from here on it may take time."""
        with self._lock:
            if self._has_asked:
                return
            self._has_asked = True
            waiting = [self._current, *self._items]
            for item in waiting:
                if item is not None:
                    item.is_left = True
        for item in waiting:
            if item is not None:
                item.left.set()


@functools.cache
def clerk() -> Clerk:
    """Return the clerk of this process, made when first asked for."""
    return Clerk()


def _is_clean(wrapper: BaseDatabaseWrapper) -> bool:
    """Tell whether a wrapper's connection can serve for the next thing to do."""
    return wrapper.autocommit and not wrapper.errors_occurred
