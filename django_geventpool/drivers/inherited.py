"""What becomes of a process's connections in the children that it forks."""

from __future__ import annotations

import _socket
import os
import weakref
from typing import Any

from .. import green, process
from .errors import Suppress

#: The connections of this process, closed ones too.
_owned: weakref.WeakSet[Any] = weakref.WeakSet()
#: Sockets that nothing is ever read from or written to.
_nowhere: list[_socket.socket] = []


def note(connection: object) -> None:
    """Record a connection that this process opens."""
    _owned.add(connection)


def _disown() -> None:
    """Put a socket to nowhere in the place of each connection's, so that nothing in a forked child reaches the server.

    Greenlets that were forked along wait there for ever. On the real sockets, they would read the answers to the
    parent's queries, or end its sessions.
    """
    if not _owned:
        return
    end, other_end = _socket.socketpair()
    for connection in _owned:
        with Suppress(connection.driver_error, OSError):
            os.dup2(end.fileno(), connection.fileno(), inheritable=False)
    _owned.clear()
    end.close()
    # Threads are not forked along. Code that uses a parent's connection by mistake may as well find it closed.
    if green.active() == "threads":
        other_end.close()
    else:
        _nowhere.append(other_end)


process.at_begin(_disown)
