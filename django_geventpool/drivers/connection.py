"""The base of the pool's connections, whichever driver they are of: their end on the server can be awaited."""

from __future__ import annotations

import _socket
import itertools
import os
import socket
import time
import weakref
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from .. import process
from . import inherited
from .errors import Suppress, is_foreign
from .server import CLOSE_TIMEOUT
from .session.changes import CURSORS
from .session.connection import SessionConnection
from .session.state import SessionState
from .waiting import POLLIN, wait_function

if TYPE_CHECKING:
    from typing import Protocol

    class _Connection(Protocol):
        """What both drivers' connections have."""

        def fileno(self) -> int: ...

        @property
        def closed(self) -> Any: ...

        def rollback(self) -> None: ...

        def close(self) -> None: ...

        def cursor(self, *args: Any, **kwargs: Any) -> Any: ...

else:
    _Connection = object

NativeSocket = _socket.socket

_serials = itertools.count(1)


#: How often to look whether a connection that was revoked is still in use (seconds).
_LOOK_INTERVAL = 0.01
#: How long the user of a revoked connection has to notice that it is cut off from the server (seconds).
_CUT_OFF_TIMEOUT = 1.0
#: What that user is told.
REVOKED = "the connection was given back or closed by somebody else in the middle of this"


def new_serial() -> int:
    """Return a number above those of all connections that were opened until now."""
    return next(_serials)


class PooledConnection(SessionConnection, _Connection):
    """A mixin for a driver's connection, before it: keeps the socket when the connection is closed or interrupted.

    The server's process lives on for a moment after its client has left, and counts against the server's limits. It
    ends its side of the socket last, so reading the socket to the end tells when it is gone.
    """

    #: The base of the driver's errors.
    driver_error: type[Exception]
    #: The process that opened it: a forked child must not touch it.
    process: int | None = None
    #: Tells the connections of this process apart, also those that are gone: the later, the higher.
    serial: int = 0
    #: Whether it was ended in the middle of a query, which the server was asked to cancel.
    is_severed: bool = False
    #: Whether it is closed, or about to be: nobody may begin to wait for it any more.
    is_revoked: bool = False
    #: The visitor that set up the session and had it last; None if another had it since, or it was discarded.
    known_to: object | None = None
    #: The attributes that it had when it was lent for the first time.
    _own_attributes: frozenset[str] = frozenset()
    #: When it was lent (monotonic seconds); None once it was used, or has made a cursor.
    unused_since: float | None = None
    #: What the driver's ``connect`` has returned in its place, such as a tracer's proxy; None if it was this.
    proxy: Any = None
    #: Whether its server was a standby, and read only by default, when it was opened; None if the server doesn't say.
    was_standby: bool | None = None
    was_read_only: bool | None = None
    #: Whether its server has refused to write since it was lent.
    was_refused_write: bool = False
    #: Whether the server said nothing for as long as connecting may take, so that it has no session.
    is_unanswered: bool = False
    #: The address at its other end, as the system writes it; None if that isn't known.
    server_address: Hashable = None
    _socket: NativeSocket | None = None
    #: A socket that comes to its end when the server has been asked to cancel a query.
    _cancelling: NativeSocket | None = None
    #: Weak references to its cursors that are not on the server; each removes itself when its cursor is gone.
    _cursors: set[weakref.ref[Any]]
    #: The cursors on the server that may be open. One whose Python object is gone could not be closed.
    _on_server: list[Any]

    def own(self) -> None:
        """Record that this process opens it."""
        self.process = process.mark()
        self.serial = new_serial()
        self._cursors = set()
        self._on_server = []
        self.session = SessionState()
        inherited.note(self)

    def meet(self, visitor: object) -> bool:
        """Begin to be held; True if the session is as this visitor left it, and nobody has had it since.

        If not, what others have set on the Python object is removed.
        """
        is_known = self.known_to is visitor
        self.known_to = None
        if not is_known:
            self._forget_attributes()
        return is_known

    def _forget_attributes(self) -> None:
        attributes = vars(self)
        if not self._own_attributes:
            self._own_attributes = frozenset((*attributes, "known_to", "_own_attributes"))
        if len(attributes) <= len(self._own_attributes):
            return
        for name in attributes.keys() - self._own_attributes:
            # The drivers set some of their own later, which have a default in the class.
            if not hasattr(type(self), name):
                delattr(self, name)

    def is_ours(self) -> bool:
        """Return whether this process opened it, and not the one that it was forked from."""
        return process.is_current(self.process)

    @property
    def lent_as(self) -> Any:
        """What its holders get: the connection, or the proxy that the driver's ``connect`` has returned for it."""
        return self if self.proxy is None else self.proxy

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        """Make a cursor, and remember it."""
        self.unused_since = None
        cursor = super().cursor(*args, **kwargs)  # type: ignore[safe-super]
        if (args or kwargs) and getattr(cursor, "name", None) is not None:
            self.remember(cursor)
        else:
            self.keep_track_of(cursor)
        if self.session.refuses:
            self.watch(cursor)
        if self.statement_limit is not None:
            self.limit(cursor)
        return cursor

    def watch(self, cursor: Any) -> None:
        """Make a cursor show its statements before they are sent, if those of its class don't anyway."""

    def keep_track_of(self, cursor: Any) -> None:
        """Remember a cursor, to close it when the connection goes back, if it lives that long."""
        # As a WeakSet does, but with no step in Python at the end of each cursor.
        self._cursors.add(weakref.ref(cursor, self._cursors.discard))

    def remember(self, cursor: Any) -> None:
        """Remember a cursor on the server, to close it when the connection goes back."""
        self._on_server = [other for other in self._on_server if other is not cursor and not other.closed]
        self._on_server.append(cursor)

    def has_used_server_cursors(self) -> bool:
        """Return whether the holder may have had a cursor on the server."""
        return bool(self._on_server)

    # Between two holders

    def close_cursors(self) -> None:
        """Close the cursors that are still open; those on the server are closed there later, as one of the changes.

        Code that still has one could use or close it on a connection that by then is somebody else's.
        """
        if self._cursors:
            for reference in list(self._cursors):
                cursor = reference()
                if cursor is not None and not cursor.closed:
                    cursor.close()
        if self._on_server:
            for cursor in self._on_server:
                if not cursor.closed:
                    self._abandon(cursor)
                    self.session.changes |= CURSORS
            self._on_server = []

    def _abandon(self, cursor: Any) -> None:
        """Close the Python object of a cursor on the server, and leave the cursor open there."""
        raise NotImplementedError

    def restore(self) -> bool:
        """Put back what was changed on the driver's connection, without the server; True if anything was."""
        raise NotImplementedError

    def forget_prepared_statements(self) -> None:
        """Forget all prepared statements, as the server has at DISCARD ALL."""

    def forget_news(self) -> None:
        """Forget the notices and notifications that were received: they were for the last holder."""
        raise NotImplementedError

    def renew(self) -> None:
        """Make the session count as one that nobody has met before."""
        self.known_to = None

    # Closing

    def close(self) -> None:
        """Close the connection, even if somebody else is in the middle of using it.

        Takes a few seconds at the most. If that user doesn't let go, the connection is only cut off from the server: to
        free libpq's memory, or to close the socket, under a user who waits would crash the process.
        """
        self.keep_socket()
        if self.revoke():
            super().close()  # type: ignore[safe-super]

    def revoke(self) -> bool:
        """Stop whoever is in the middle of using the connection; False if that fails."""
        self.is_revoked = True
        if not self.is_used_elsewhere():
            return True
        if not self.is_ours():
            return False  # Used by a greenlet that was forked along and waits for ever.
        deadline = time.monotonic() + CLOSE_TIMEOUT
        self.start_cancelling()
        self._await_cancelling(deadline)
        # Only our side, as the server's end is still to be awaited. No other query reaches the server.
        self._cut_off(socket.SHUT_WR)
        if self._await_user(deadline):
            return True
        self._cut_off(socket.SHUT_RDWR)
        return self._await_user(time.monotonic() + _CUT_OFF_TIMEOUT)

    # Left to each driver

    def reported(self, name: str) -> str | None:
        """Return the last value that the server has reported of a parameter; None if it doesn't report that one."""
        raise NotImplementedError

    def server_pid(self) -> int:
        """Return the id of the server's process, as the server has told it at the beginning."""
        raise NotImplementedError

    def is_used_elsewhere(self) -> bool:
        """Return whether another greenlet or thread is in the middle of something on this connection."""
        raise NotImplementedError

    def has_failed_to_begin(self) -> bool:
        """Return whether the last statement failed because the BEGIN before it did, as the connection was lost."""
        raise NotImplementedError

    def start_cancelling(self) -> None:
        """Ask the server to stop what it is executing for this connection, without waiting for that."""
        raise NotImplementedError

    # The socket, and the end of the server's side

    def _cut_off(self, how: int) -> None:
        if self._socket is not None:
            with Suppress(OSError):
                self._socket.shutdown(how)

    def _await_cancelling(self, deadline: float) -> None:
        """Wait until the server has taken the request to cancel, if there is one.

        PgBouncer cancels only for a client that is still connected: it lets the query of one that has left go on.
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
        """Keep a copy of the socket for ``await_end``, if the server may have a session."""
        if self._socket is None and not self.is_unanswered:
            # There may be no socket: it was never opened, or is gone already.
            with Suppress(self.driver_error, OSError):
                self._socket = NativeSocket(fileno=os.dup(self._descriptor()))

    def record_address(self) -> None:
        """Record which of several servers it is that has been connected to."""
        with Suppress(self.driver_error, OSError):
            copy = NativeSocket(fileno=os.dup(self._descriptor()))
            try:
                self.server_address = copy.getpeername()
            finally:
                copy.close()

    def _descriptor(self) -> int:
        return self.fileno()

    def withhold_end(self) -> None:
        """Give the driver another socket to close: the server learns of the end from ``await_end``, later."""
        nowhere, other_end = _socket.socketpair()
        with Suppress(self.driver_error, OSError):
            os.dup2(nowhere.fileno(), self.fileno(), inheritable=False)
        nowhere.close()
        other_end.close()

    def await_end(self, timeout: float) -> bool:
        """Wait until the server has let go of the closed connection; False if it took longer than ``timeout`` s.

        If this is interrupted, the next call goes on waiting.
        """
        has_ended = self.try_await_end(timeout)
        self._drop_socket()
        return has_ended

    def try_await_end(self, timeout: float) -> bool:
        """Wait for that, but keep the socket for another call if it has not happened within ``timeout`` s."""
        kept = self._socket
        if kept is None:
            return True
        if self.is_used_elsewhere():
            return False  # What there is to read is for that user.
        deadline = time.monotonic() + timeout
        self._await_cancelling(deadline)
        if not _await_end(kept, deadline):
            return False
        self._drop_socket()
        return True

    def _drop_socket(self) -> None:
        kept, self._socket = self._socket, None
        if kept is not None:
            kept.close()


def _await_end(kept: NativeSocket, deadline: float) -> bool:
    """Hang up, and read until the other side has hung up; False if that takes too long."""
    wait = wait_function()
    ended = not _say_good_bye(kept)
    while not ended:
        left = deadline - time.monotonic()
        if left <= 0 or not wait(kept.fileno(), POLLIN, left):
            return False
        ended = _read_to_end(kept)
    return True


def _say_good_bye(kept: NativeSocket) -> bool:
    """Hang up; return whether the other side is still to be waited for.

    The driver leaves without a word if the connection was interrupted, or not yet established.
    """
    with Suppress(OSError):
        kept.shutdown(socket.SHUT_WR)
        return True
    return False


def _read_to_end(kept: NativeSocket) -> bool:
    """Read, without waiting; return whether the other side has hung up, or the connection was reset."""
    try:
        return not kept.recv(65536, socket.MSG_DONTWAIT)
    except OSError as error:
        if is_foreign(error):
            raise
        return not isinstance(error, BlockingIOError)
