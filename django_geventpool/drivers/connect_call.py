"""Calling the driver's own ``connect``, and getting a connection of the pool's kind out of it.

Tracers (OpenTelemetry, Datadog and others) wrap that function, and some put a proxy around what it returns. So the pool
calls it like everybody else, and learns of the connection where the driver makes it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, Generic, TypeVar

from .connection import PooledConnection
from .patience import Attempt

C = TypeVar("C", bound=PooledConnection)


class ConnectCall(Generic[C]):
    """One call of the driver's ``connect``, as a context manager around it.

    :param opening: called with each connection that the call begins to open.
    :param close_failed: called with each that could not be established.
    :param timeout: the seconds that each may take; None for as long as it takes.
    :param attempt: the attempt that it is; None for one that nobody asks about.
    """

    def __init__(
        self,
        opening: Callable[[Any], None],
        close_failed: Callable[[C], None],
        timeout: float | None = None,
        attempt: Attempt | None = None,
    ) -> None:
        self._opening: Callable[[Any], None] | None = opening
        self.close_failed = close_failed
        self.timeout = timeout
        self.attempt = attempt or Attempt()
        #: The connection that was begun last.
        self.connection: C | None = None
        self._token: Token[ConnectCall[Any] | None] | None = None

    def __enter__(self) -> ConnectCall[C]:
        self._token = _current.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._token is not None
        _current.reset(self._token)
        # Greenlets and threads that were started meanwhile may have inherited the context.
        self._opening = None

    def begin(self, connection: C) -> None:
        """Record a connection that is about to be opened."""
        assert self._opening is not None
        connection.own()
        self.connection = connection
        self._opening(connection)

    def opened(self, lent: Any) -> C:
        """Record what ``connect`` has returned, which is what holders get; return the connection behind it.

        :raises TypeError: if ``connect`` has opened one that is not of the pool's kind.
        """
        if self.connection is None:
            lent.close()
            raise TypeError(
                f"The driver's connect has returned a {type(lent).__module__}.{type(lent).__qualname__} that the pool "
                "can't use: whatever has been put in the place of connect must call it with the arguments it is given."
            )
        if lent is not self.connection:
            self.connection.proxy = lent
        return self.connection

    @property
    def is_open(self) -> bool:
        """Whether the call is still under way."""
        return self._opening is not None


#: A context variable, as each greenlet and thread has its own, whenever the process was patched.
_current: ContextVar[ConnectCall[Any] | None] = ContextVar("django_geventpool_connect_call", default=None)


def current_connect_call() -> ConnectCall[Any] | None:
    """Return the pool's call of ``connect`` that the running greenlet or thread is in; None if it is in none."""
    call = _current.get()
    return call if call is not None and call.is_open else None
