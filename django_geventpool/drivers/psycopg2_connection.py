"""The pool's kind of psycopg2 connection: one whose end on the server can be awaited."""

from __future__ import annotations

import _socket
import contextlib
import os
import socket
import time
import weakref
from typing import Any

import psycopg2
from psycopg2 import extensions

from .. import green
from .psycopg2_cancel import start_cancelling

_isolation_level: Any = extensions.connection.isolation_level


class Connection(extensions.connection):
    """A connection of psycopg2 that leaves its socket behind when it is closed or interrupted.

    The server's process lives on for a moment after a client has said good-bye, and counts against its limits. It
    ends its side of the socket last, so reading the socket until the end tells when it is gone.
    """

    #: When connecting has taken long enough (monotonic seconds); None for as long as it takes.
    connect_deadline: float | None = None
    #: The process that opened it: a forked child must not touch it.
    pid: int = 0
    #: Tells connections of this process apart, also those that are gone.
    serial: int = 0
    _socket: socket.socket | None = None
    _cursors: weakref.WeakSet[extensions.cursor]

    def own(self) -> None:
        """Note that this process opens it."""
        self.pid = os.getpid()
        self._cursors = weakref.WeakSet()
        _owned.add(self)

    @property
    def isolation_level(self) -> int | None:
        """The isolation level of transactions, None for the server's default."""
        level: int | None = _isolation_level.__get__(self)
        return level

    @isolation_level.setter
    def isolation_level(self, level: str | bytes | int | None) -> None:
        # Django sets it at each checkout; psycopg2 would ask the server each time.
        if level != self.isolation_level:
            _isolation_level.__set__(self, level)

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        """Make a cursor, and remember it."""
        cursor = super().cursor(*args, **kwargs)
        self._cursors.add(cursor)
        return cursor

    def close_cursors(self) -> bool:
        """Close the cursors that nobody has closed; True if one of them was on the server.

        Who still has one could use or close it later, by then on a connection of somebody else.
        """
        left_open = [cursor for cursor in self._cursors if not cursor.closed]
        for cursor in left_open:
            cursor.close()
        return any(cursor.name is not None for cursor in left_open)

    def sever(self) -> None:
        """Stop what the server is executing for this connection, which psycopg2 is about to close."""
        if self.pid != os.getpid():
            return
        self._keep_socket()
        if self.status != extensions.STATUS_SETUP:
            start_cancelling(self)

    def close(self) -> None:
        """Close the connection, if it isn't closed."""
        self._keep_socket()
        super().close()

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

    def _keep_socket(self) -> None:
        if self._socket is None and not self.closed:
            # There may be no socket: never opened, or gone already.
            with contextlib.suppress(psycopg2.Error, OSError):
                self._socket = socket.socket(fileno=os.dup(self.fileno()))


#: The connections of this process, closed ones too.
_owned: weakref.WeakSet[Connection] = weakref.WeakSet()
#: Nothing is ever read from it or written to it.
_nowhere: _socket.socket | None = None


def _disown() -> None:
    """Put a socket to nowhere in the place of each connection's, so that nothing in a forked child reaches the server.

    The greenlets that were forked along wait there for ever. With the real sockets, they would read the answers to
    their originals' queries, or say good-bye to the server in their name.
    """
    global _nowhere
    if not _owned:
        return
    end, other_end = _socket.socketpair()
    for connection in _owned:
        with contextlib.suppress(psycopg2.Error, OSError):
            os.dup2(end.fileno(), connection.fileno(), inheritable=False)
    _owned.clear()
    # Threads are not forked along. Who uses a parent's connection by mistake may as well find it closed.
    _nowhere = None if green.active() == "threads" else other_end


os.register_at_fork(after_in_child=_disown)
