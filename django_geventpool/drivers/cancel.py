"""Cancels a query without blocking.

The drivers' own ``cancel()`` may hold the GIL while it waits for the server. Whoever is interrupted in a query calls
``sever`` on the way out, which comes here: the wait callback of psycopg2 in ``psycopg2_green.py``, and
``PsycopgConnection.wait`` in ``psycopg_connection.py``.
"""

from __future__ import annotations

import _socket
import contextlib

from .. import green
from .libpq import find_libpq


def start_cancelling(library: str, connection: int) -> _socket.socket | None:
    """Ask the server to cancel what a connection is executing, without waiting for that.

    The request goes over a connection of its own, from a native thread that lets go of the GIL. What it needs is copied
    first, so libpq's connection may be freed right after this.

    :param library: the file name of libpq, or of a library that is linked with it.
    :param connection: the address of libpq's structure.
    :return: a socket that comes to its end when the server has taken the request; None if libpq can't be reached.
    """
    libpq = find_libpq(library)
    if libpq is None:
        return None
    request = libpq.create_cancel(connection)
    done, other_end = _socket.socketpair()
    if not request:
        other_end.close()
        return done
    requests = [request]

    def cancel() -> None:
        if requests:
            taken = requests.pop()
            libpq.send_cancel(taken)
            libpq.finish_cancel(taken)
        # Closing is not enough: a child that was forked meanwhile has the socket, too.
        with contextlib.suppress(OSError):
            other_end.shutdown(_socket.SHUT_WR)
        other_end.close()

    try:
        green.start_native_thread(cancel)
    except RuntimeError:  # No thread can be started. (Or it was raised by somebody else, and one was.)
        if requests:
            libpq.finish_cancel(requests.pop())
        return None
    return done
