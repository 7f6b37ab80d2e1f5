"""What the pool's connections have in common, whichever driver they are of: their end on the server can be awaited."""

from __future__ import annotations

import _socket
import contextlib
import itertools
import os
import socket
import time
import weakref
from typing import TYPE_CHECKING, Any

from .. import green
from .server import CLOSE_TIMEOUT
from .waiting import POLLIN, wait_function

if TYPE_CHECKING:
    from typing import Protocol

    class _Connection(Protocol):
        """What both drivers' connections have."""

        def fileno(self) -> int: ...

        @property
        def closed(self) -> Any: ...

        def close(self) -> None: ...

        def cursor(self, *args: Any, **kwargs: Any) -> Any: ...

else:
    _Connection = object

NativeSocket = _socket.socket

_serials = itertools.count(1)

#: How often to look whether a connection that was revoked is still in use (seconds).
_LOOK_INTERVAL = 0.01
#: How long who uses a revoked connection has to notice that it is cut off from the server (seconds).
_CUT_OFF_TIMEOUT = 1.0
#: What it is told.
REVOKED = "the connection was given back or closed by somebody else in the middle of this"


def new_serial() -> int:
    """Return a number that is higher than those of the connections that were opened until now."""
    return next(_serials)


class PooledConnection(_Connection):
    """Mixed into a driver's connection, before it: leaves its socket behind when it is closed or interrupted.

    The server's process lives on for a moment after a client has said good-bye, and counts against its limits. It
    ends its side of the socket last, so reading the socket until the end tells when it is gone.
    """

    #: The base of the driver's errors.
    driver_error: type[Exception]
    #: The process that opened it: a forked child must not touch it.
    pid: int = 0
    #: Tells connections of this process apart, also those that are gone.
    serial: int = 0
    #: Whether it was ended in the middle of a query, which the server was asked to cancel.
    is_severed: bool = False
    #: Whether it is closed, or about to be: nobody may begin to wait for it any more.
    is_revoked: bool = False
    #: When it was lent (monotonic seconds), while nobody has used it, or had a cursor of it, since then.
    fresh_since: float | None = None
    #: What the driver's ``connect`` has returned in its place, such as a tracer's; None if it was the connection.
    proxy: Any = None
    #: Whether its server was a standby, and read only by default, when it was opened; None if the server doesn't say.
    was_standby: bool | None = None
    was_read_only: bool | None = None
    #: Whether its server has refused to write since it was lent.
    was_refused_write: bool = False
    #: The server has not said a word for as long as connecting to it may take, so it has no session.
    is_unanswered: bool = False
    _socket: socket.socket | None = None
    #: Comes to its end when the server has been asked to cancel a query.
    _cancelling: NativeSocket | None = None
    _cursors: weakref.WeakSet[Any]

    def own(self) -> None:
        """Note that this process opens it."""
        self.pid = os.getpid()
        self.serial = new_serial()
        self._cursors = weakref.WeakSet()
        _owned.add(self)

    def is_ours(self) -> bool:
        """Tell whether this process opened it, and not the one that it was forked from."""
        return self.pid == os.getpid()

    @property
    def lent_as(self) -> Any:
        """What its holders get: the connection, or the proxy that the driver's ``connect`` has returned for it."""
        return self if self.proxy is None else self.proxy

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        """Make a cursor, and remember it."""
        self.fresh_since = None
        cursor = super().cursor(*args, **kwargs)  # type: ignore[safe-super]
        self.remember(cursor)
        return cursor

    def remember(self, cursor: Any) -> None:
        """Have a cursor closed when the connection goes back."""
        self._cursors.add(cursor)

    def close_cursors(self) -> bool:
        """Close the cursors that nobody has closed; True if one of them was on the server.

        Who still has one could use or close it later, by then on a connection of somebody else.
        """
        left_open = [cursor for cursor in self._cursors if not cursor.closed]
        for cursor in left_open:
            cursor.close()
        return any(getattr(cursor, "name", None) is not None for cursor in left_open)

    def close(self) -> None:
        """Close the connection, if it isn't closed, whoever is in the middle of something on it.

        Takes a few seconds at the most. A connection that somebody could not be got off is only cut off from the
        server: to free libpq's memory, or to close the socket, under somebody who waits would end the process.
        """
        self.keep_socket()
        if self.revoke():
            super().close()  # type: ignore[safe-super]

    def revoke(self) -> bool:
        """Get whoever is in the middle of something off the connection; False if that fails."""
        self.is_revoked = True
        if not self.is_used_elsewhere():
            return True
        if not self.is_ours():
            return False  # Used by a greenlet that was forked along and waits for ever.
        deadline = time.monotonic() + CLOSE_TIMEOUT
        self.start_cancelling()
        self._await_cancelling(deadline)
        # Without the end of the server's side, which is still to be awaited. No other query reaches it.
        self._cut_off(socket.SHUT_WR)
        if self._await_user(deadline):
            return True
        self._cut_off(socket.SHUT_RDWR)
        return self._await_user(time.monotonic() + _CUT_OFF_TIMEOUT)

    def reported(self, name: str) -> str | None:
        """Return what the server has said last of one of its parameters that it reports; None for others."""
        raise NotImplementedError

    def is_used_elsewhere(self) -> bool:
        """Tell whether another greenlet or thread is in the middle of something on this connection."""
        raise NotImplementedError

    def has_failed_to_begin(self) -> bool:
        """Tell whether the last statement failed because the BEGIN before it did, as the connection was lost."""
        raise NotImplementedError

    def start_cancelling(self) -> None:
        """Have the server stop what it is executing for this connection, without waiting for it."""
        raise NotImplementedError

    def _cut_off(self, how: int) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(how)

    def _await_cancelling(self, deadline: float) -> None:
        """Wait until the server has taken the request to cancel, if there is one.

        PgBouncer cancels for a client only that is still there, and leaves the query of one that is gone alone.
        """
        cancelling = self._cancelling
        if cancelling is None:
            return
        wait_function()(cancelling.fileno(), POLLIN, max(0.0, deadline - time.monotonic()))
        # Two may close it at the same time.
        if self._cancelling is cancelling:
            self._cancelling = None
        cancelling.close()

    def _await_user(self, deadline: float) -> bool:
        """Wait until nobody else uses the connection; False if that takes too long."""
        while in_use := self.is_used_elsewhere():
            if time.monotonic() >= deadline:
                break
            time.sleep(_LOOK_INTERVAL)
        return not in_use

    def keep_socket(self) -> None:
        """Keep the socket beyond the end of the connection, for ``await_end``, if the server may have a session."""
        if self._socket is None and not self.is_unanswered:
            # There may be no socket: never opened, or gone already.
            with contextlib.suppress(self.driver_error, OSError):
                self._socket = socket.socket(fileno=os.dup(self.fileno()))

    def withhold_end(self) -> None:
        """Have the driver close a socket to nowhere: the server hears of the end from ``await_end``, later."""
        nowhere, other_end = _socket.socketpair()
        with contextlib.suppress(self.driver_error, OSError):
            os.dup2(nowhere.fileno(), self.fileno(), inheritable=False)
        nowhere.close()
        other_end.close()

    def await_end(self, timeout: float) -> bool:
        """Wait until the server has let go of the closed connection; False if it took longer than ``timeout`` s."""
        has_ended = self.has_ended(timeout)
        self._drop_socket()
        return has_ended

    def has_ended(self, timeout: float) -> bool:
        """Wait for that, and be ready to be asked again if it has not happened within ``timeout`` s."""
        if self._socket is None:
            return True
        if self.is_used_elsewhere():
            # What there is to read is not for us.
            return False
        deadline = time.monotonic() + timeout
        self._await_cancelling(deadline)
        wait = wait_function()
        with contextlib.suppress(OSError):  # Reset, or never connected.
            # A connection that was not yet established, or interrupted, is closed without a word.
            self._socket.shutdown(socket.SHUT_WR)
        while not self._is_at_end(self._socket):
            left = deadline - time.monotonic()
            if left <= 0 or not wait(self._socket.fileno(), POLLIN, left):
                return False
        self._drop_socket()
        return True

    @staticmethod
    def _is_at_end(end: socket.socket) -> bool:
        """Read what there is to read, without waiting; True at the end of it."""
        end.settimeout(0)
        try:
            while end.recv(65536):
                pass
        except BlockingIOError:
            return False
        except OSError:
            pass  # Reset, or never connected.
        return True

    def _drop_socket(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


#: The connections of this process, closed ones too.
_owned: weakref.WeakSet[PooledConnection] = weakref.WeakSet()
#: Nothing is ever read from them or written to them.
_nowhere: list[_socket.socket] = []


def _disown() -> None:
    """Put a socket to nowhere in the place of each connection's, so that nothing in a forked child reaches the server.

    The greenlets that were forked along wait there for ever. With the real sockets, they would read the answers to
    their originals' queries, or say good-bye to the server in their name.
    """
    if not _owned:
        return
    end, other_end = _socket.socketpair()
    for connection in _owned:
        with contextlib.suppress(connection.driver_error, OSError):
            os.dup2(end.fileno(), connection.fileno(), inheritable=False)
    _owned.clear()
    end.close()
    # Threads are not forked along. Who uses a parent's connection by mistake may as well find it closed.
    if green.active() == "threads":
        other_end.close()
    else:
        _nowhere.append(other_end)


os.register_at_fork(after_in_child=_disown)
