"""Cancelling a query of psycopg2 without blocking: its own ``cancel()`` holds the GIL while it waits for the server."""

from __future__ import annotations

import ctypes
import functools

from psycopg2 import _psycopg, extensions

from .. import green


@functools.cache
def _libpq() -> ctypes.CDLL | None:
    """Return the libpq that psycopg2 is linked with, None if it can't be reached."""
    try:
        libpq = ctypes.CDLL(_psycopg.__file__)
        libpq.PQgetCancel.argtypes = [ctypes.c_void_p]
        libpq.PQgetCancel.restype = ctypes.c_void_p
        libpq.PQcancel.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
        libpq.PQfreeCancel.argtypes = [ctypes.c_void_p]
        libpq.PQfreeCancel.restype = None
    except (AttributeError, OSError):
        # A build that hides libpq's symbols, or a system whose loader doesn't look into dependencies.
        return None
    return libpq


def start_cancelling(connection: extensions.connection) -> None:
    """Have the server cancel what the connection is executing, and don't wait for it.

    The request goes over a connection of its own, from a native thread that lets go of the GIL. What it needs is
    copied first, so the connection may be closed right after this.
    """
    libpq = _libpq()
    if libpq is None:
        connection.cancel()  # Blocks everything, but for a moment only while the server answers.
        return
    request = libpq.PQgetCancel(connection.pgconn_ptr)
    if not request:
        return

    def cancel() -> None:
        message = ctypes.create_string_buffer(256)
        libpq.PQcancel(request, message, len(message))
        libpq.PQfreeCancel(request)

    green.start_native_thread(cancel)
