"""The worker's own work: what Celery runs in a worker outside of tasks, and the connections that it takes.

Receivers of signals, bootsteps, timers, remote commands, callbacks and the results of tasks that could not store them
run in greenlets and threads that live as long as the worker, or just before and after a task. Nothing in Celery gives
their connections back; ``Scope`` does. It also says whose work it is, so that the pool can let it go first: tasks may
wait for what the worker has to do, and it must not wait for them.
"""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable, Container
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from celery import _state
from django.db import Error

from django_geventpool.taken import connected
from django_geventpool.utils import give_back

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

P = ParamSpec("P")
R = TypeVar("R")

logger = logging.getLogger("geventpool.worker")

#: By class, as locals made before monkey-patching would be shared by all greenlets.
_locals: dict[type, Any] = {}


class Scope:
    """Gives back, at the end of a block, the connections that were taken in it. A context manager, for one use.

    What this greenlet or thread held before is left alone, and so is all that happens inside a task: that gives back at
    its own end. Costs next to nothing where no connection is asked for.

    :param is_own: whether the block is the worker's own work, which goes first. It is anyway inside of one that is.
    :param is_patient: whether connections are waited for as long as it takes, instead of CONN_WAIT_TIMEOUT.
    :param before_asking: called before each request for a connection.
    """

    __slots__ = ("_held", "_outer", "before_asking", "is_own", "is_patient")

    def __init__(
        self, *, is_own: bool = True, is_patient: bool = False, before_asking: Callable[[], object] | None = None
    ) -> None:
        self.is_own = is_own
        self.is_patient = is_patient
        self.before_asking = before_asking
        self._outer: Scope | None = None
        #: What had a connection when the block first asked for one; None until it does.
        self._held: list[BaseDatabaseWrapper] | None = None

    def __enter__(self) -> None:
        local = _local()
        outer = self._outer = getattr(local, "scope", None)
        if outer is not None:
            self.is_own = self.is_own or outer.is_own
            self.is_patient = self.is_patient or outer.is_patient
            self.before_asking = self.before_asking or outer.before_asking
        local.scope = self

    def __exit__(self, *_error: object) -> None:
        try:
            if self._held is not None:
                release(but=self._held)
        finally:
            _local().scope = self._outer

    def ask(self) -> bool:
        """Note that the block asks for a connection; return whether the request goes first."""
        if self._held is None:
            self._held = connected()
        if self.before_asking is not None:
            self.before_asking()
        return self.is_own

    def limit_wait(self, timeout: float | None) -> float | None:
        """Return how many seconds to wait for a connection, given how long others do."""
        return None if self.is_patient else timeout


def release(but: Container[BaseDatabaseWrapper] = ()) -> None:
    """Give back what this greenlet or thread has of the pools, outside of tasks.

    :param but: what stays.
    """
    try:
        give_back(connected(), but=but)
    except Error:
        # Nobody waits for what this would tell, and a worker ends when its loop hears of it.
        logger.warning("What the worker used outside of tasks could not be given back in order", exc_info=True)


def in_scope(function: Callable[P, R], *, is_own: bool = True, is_patient: bool = False) -> Callable[P, R]:
    """Return a function that runs another one in a scope of its own."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with Scope(is_own=is_own, is_patient=is_patient):
            return function(*args, **kwargs)

    return run


def ask() -> bool:
    """Note that this greenlet or thread asks for a connection; return whether it does so for the worker itself."""
    scope = _current()
    return scope is not None and scope.ask()


def limit_wait(timeout: float | None) -> float | None:
    """Return how many seconds this greenlet or thread may wait for a connection; None for as long as it takes.

    :param timeout: how long it may if nothing else is known of it.
    """
    scope = _current()
    return timeout if scope is None else scope.limit_wait(timeout)


def _current() -> Scope | None:
    """Return the innermost scope; None outside of all, and inside of tasks."""
    scope: Scope | None = getattr(_local(), "scope", None)
    return None if scope is None or _state.get_current_task() is not None else scope


def _local() -> Any:
    local = _locals.get(threading.local)
    if local is None:
        local = _locals.setdefault(threading.local, threading.local())  # Lets one of two threads win.
    return local
