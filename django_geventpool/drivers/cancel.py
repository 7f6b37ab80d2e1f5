"""What the drivers don't give but libpq has: to cancel a query without blocking, and the socket of a failed connect.

The drivers' own ``cancel()`` may hold the GIL while it waits for the server. Whoever is interrupted in a query calls
``sever`` on the way out, which comes here: the wait callback of psycopg2 in ``psycopg2_green.py``, and
``PsycopgConnection.wait`` in ``psycopg_connection.py``.
"""

from __future__ import annotations

import _socket
import contextlib
import ctypes
import functools

from .. import green


class _Libpq:
    """The functions of libpq that cancel. ctypes lets go of the GIL while it calls them.

    :param library: the file name of libpq, or of a library that is linked with it.
    :raises OSError, AttributeError: if libpq can't be reached that way: a build that hides its symbols, or a system
        whose loader doesn't look into dependencies.
    """

    def __init__(self, library: str) -> None:
        libpq = ctypes.CDLL(library)
        if hasattr(libpq, "PQcancelBlocking"):
            # libpq 17 and later: encrypted if the connection is, and within its connect_timeout.
            self.create, self.finish = libpq.PQcancelCreate, libpq.PQcancelFinish
            self._send = libpq.PQcancelBlocking
            self._send.argtypes = [ctypes.c_void_p]
            self._buffer_size = 0
        else:
            self.create, self.finish = libpq.PQgetCancel, libpq.PQfreeCancel
            self._send = libpq.PQcancel
            self._send.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
            self._buffer_size = 256
        self.create.argtypes = [ctypes.c_void_p]
        self.create.restype = ctypes.c_void_p
        self.finish.argtypes = [ctypes.c_void_p]
        self.finish.restype = None

    def send(self, request: int) -> None:
        """Send a request, and wait until the server has taken it."""
        if self._buffer_size:
            self._send(request, ctypes.create_string_buffer(self._buffer_size), self._buffer_size)
        else:
            self._send(request)


@functools.cache
def _libpq(library: str) -> _Libpq | None:
    try:
        return _Libpq(library)
    except (AttributeError, OSError):
        return None


def socket_of(library: str, connection: int) -> int:
    """Return the file descriptor of a connection of libpq's; -1 if it has none, or libpq can't be reached.

    :param library: the file name of libpq, or of a library that is linked with it.
    :param connection: the address of libpq's structure.
    """
    try:
        ask = ctypes.CDLL(library).PQsocket
    except (AttributeError, OSError):
        return -1
    ask.argtypes = [ctypes.c_void_p]
    return int(ask(connection))


def start_cancelling(library: str, connection: int) -> _socket.socket | None:
    """Ask the server to cancel what a connection is executing, without waiting for that.

    The request goes over a connection of its own, from a native thread that lets go of the GIL. What it needs is copied
    first, so libpq's connection may be freed right after this.

    :param library: the file name of libpq, or of a library that is linked with it.
    :param connection: the address of libpq's structure.
    :return: a socket that comes to its end when the server has taken the request; None if libpq can't be reached.
    """
    libpq = _libpq(library)
    if libpq is None:
        return None
    request = libpq.create(connection)
    done, other_end = _socket.socketpair()
    if not request:
        other_end.close()
        return done
    requests = [request]

    def cancel() -> None:
        if requests:
            taken = requests.pop()
            libpq.send(taken)
            libpq.finish(taken)
        # Closing is not enough: a child that was forked meanwhile has the socket, too.
        with contextlib.suppress(OSError):
            other_end.shutdown(_socket.SHUT_WR)
        other_end.close()

    try:
        green.start_native_thread(cancel)
    except RuntimeError:  # No thread can be started. (Or it was raised by somebody else, and one was.)
        if requests:
            libpq.finish(requests.pop())
        return None
    return done
