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

_serials = itertools.count(1)


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
    _socket: socket.socket | None = None
    _cursors: weakref.WeakSet[Any]

    def own(self) -> None:
        """Note that this process opens it."""
        self.pid = os.getpid()
        self.serial = next(_serials)
        self._cursors = weakref.WeakSet()
        _owned.add(self)

    def is_ours(self) -> bool:
        """Tell whether this process opened it, and not the one that it was forked from."""
        return self.pid == os.getpid()

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        """Make a cursor, and remember it."""
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
        """Close the connection, if it isn't closed."""
        self.keep_socket()
        super().close()  # type: ignore[safe-super]

    def keep_socket(self) -> None:
        """Keep the socket beyond the end of the connection, for ``await_end``."""
        if self._socket is None:
            # There may be no socket: never opened, or gone already.
            with contextlib.suppress(self.driver_error, OSError):
                self._socket = socket.socket(fileno=os.dup(self.fileno()))

    def await_end(self, timeout: float) -> bool:
        """Wait until the server has let go of the closed connection; False if it took longer than ``timeout`` s."""
        if self._socket is None:
            return True
        deadline = time.monotonic() + timeout
        try:
            # A connection that was not yet established is closed without a word.
            self._socket.shutdown(socket.SHUT_WR)
            self._socket.settimeout(timeout)
            while self._socket.recv(65536):
                self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            ended = True
        except TimeoutError:
            ended = False
        except OSError:
            ended = True  # Reset, or never connected.
        self._socket.close()
        self._socket = None
        return ended


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
