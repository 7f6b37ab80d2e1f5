"""The worker's own work: what Celery runs in a worker outside tasks, and the connections that this work takes.

Receivers of signals, bootsteps, timers, remote commands, callbacks and storing outcomes for tasks that can't: this runs
in greenlets and threads that live as long as the worker, or just before and after a task. Nothing in Celery gives its
connections back; ``Scope`` does. It also marks the requests as urgent, so that the pool serves them before those of
tasks: tasks may wait for the worker's own work, which must not wait for them.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Container
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from celery import _state
from django.db import Error

from django_geventpool.frames import is_running
from django_geventpool.here import own
from django_geventpool.taken import connected
from django_geventpool.utils import give_back

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

P = ParamSpec("P")
R = TypeVar("R")

logger = logging.getLogger("geventpool.worker")

#: Where a greenlet or thread keeps its innermost scope.
_SCOPE = "_geventpool_scope"


class Scope:
    """Runs one call, and at its end gives back the connections that were taken in it.

    Connections that this greenlet or thread held before the call stay with it. So do those taken inside a task, which
    gives them back at its own end. A scope costs next to nothing when no connection is asked for.

    An exception out of a signal handler may interrupt the end of a scope before it is recorded. The scope counts as
    ended all the same: the frames show whether its call goes on.

    :param is_own: whether the call is the worker's own work, which goes first; inside a scope of own work it always is.
    :param is_patient: whether to wait for connections without limit, instead of for CONN_WAIT_TIMEOUT.
    :param before_asking: called before each request for a connection.
    """

    __slots__ = ("_held", "before_asking", "is_own", "is_patient", "outer")

    def __init__(
        self, *, is_own: bool = True, is_patient: bool = False, before_asking: Callable[[], object] | None = None
    ) -> None:
        self.is_own = is_own
        self.is_patient = is_patient
        self.before_asking = before_asking
        #: The scope that was entered before this one; it may have ended by now.
        self.outer: Scope | None = None
        #: The wrappers that had a connection when the call first asked for one; None until it does.
        self._held: list[BaseDatabaseWrapper] | None = None

    def run(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function in this scope, and return what it returns."""
        here = own()
        self.outer = getattr(here, _SCOPE, None)
        try:
            setattr(here, _SCOPE, self)
            return function(*args, **kwargs)
        finally:
            # If this is interrupted, the next request for a connection gives back in its place.
            self.give_back()
            setattr(here, _SCOPE, self.outer)

    @property
    def is_running(self) -> bool:
        """Whether the current greenlet or thread is inside the call."""
        return is_running((Scope.run.__code__,), self)

    def begin_request(self) -> None:
        """Record that the call asks for a connection."""
        if self._held is None:
            self._held = connected()
        if self.before_asking is not None:
            self.before_asking()

    def give_back(self) -> None:
        """Give back the connections that were taken since the call first asked for one."""
        if self._held is not None:
            release(but=self._held)


def release(but: Container[BaseDatabaseWrapper] = ()) -> None:
    """Give back the connections of this greenlet or thread, outside tasks.

    :param but: the wrappers that keep theirs.
    """
    try:
        give_back(connected(), but=but)
    except Error:
        # No caller could handle the error, and a worker whose event loop gets it ends.
        logger.warning(
            "A connection that the worker used outside of tasks could not be given back cleanly", exc_info=True
        )


def in_scope(function: Callable[P, R], *, is_own: bool = True, is_patient: bool = False) -> Callable[P, R]:
    """Return a function that calls another one in a scope of its own."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        return Scope(is_own=is_own, is_patient=is_patient).run(function, *args, **kwargs)

    return run


def begin_request() -> bool:
    """Record that this greenlet or thread asks for a connection; return whether it is for the worker's own work."""
    is_own = False
    for scope in _prune_scopes():
        scope.begin_request()
        is_own = is_own or scope.is_own
    return is_own


def limit_wait(timeout: float | None) -> float | None:
    """Return how many seconds this greenlet or thread may wait; may give back for scopes whose end was interrupted.

    :param timeout: the seconds outside patient scopes; None for without limit, as in those.
    """
    scopes = _prune_scopes()
    return None if scopes and any(scope.is_patient for scope in scopes) else timeout


def _prune_scopes() -> list[Scope]:
    """Give back for scopes whose end was interrupted; return the others, the innermost first, and none inside tasks."""
    scope: Scope | None = getattr(own(), _SCOPE, None)
    if scope is None or _state.get_current_task() is not None:
        return []
    scopes: list[Scope] = []
    while scope is not None:
        if scope.is_running:
            scopes.append(scope)
        else:
            _forget(scope, scopes[-1] if scopes else None)
        scope = scope.outer
    return scopes


def _forget(scope: Scope, inner: Scope | None) -> None:
    """Take a scope whose end was interrupted out of the chain, and give back for it."""
    if inner is not None:
        inner.outer = scope.outer
    else:
        setattr(own(), _SCOPE, scope.outer)
    scope.give_back()
