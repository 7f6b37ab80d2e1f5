"""What libpq has and the drivers don't give: a cancel that blocks nobody, its settings, the socket of a failed connect.

ctypes lets go of the GIL while it calls libpq.
"""

from __future__ import annotations

import ctypes
import functools
import itertools


class _Option(ctypes.Structure):
    """libpq's PQconninfoOption."""

    _fields_ = (
        ("keyword", ctypes.c_char_p),
        ("envvar", ctypes.c_char_p),
        ("compiled", ctypes.c_char_p),
        ("val", ctypes.c_char_p),
        ("label", ctypes.c_char_p),
        ("dispchar", ctypes.c_char_p),
        ("dispsize", ctypes.c_int),
    )


class Libpq:
    """The functions of libpq that the pool's drivers call.

    :param library: the file name of libpq, or of a library that is linked with it.
    :raises OSError, AttributeError: if libpq can't be reached that way: a build that hides its symbols, or a system
        whose loader doesn't look into dependencies.
    """

    def __init__(self, library: str) -> None:
        libpq = ctypes.CDLL(library)
        self._start, self._finish = libpq.PQconnectStart, libpq.PQfinish
        self._start.argtypes, self._start.restype = [ctypes.c_char_p], ctypes.c_void_p
        self._finish.argtypes, self._finish.restype = [ctypes.c_void_p], None
        self._info, self._free_info = libpq.PQconninfo, libpq.PQconninfoFree
        self._info.argtypes, self._info.restype = [ctypes.c_void_p], ctypes.POINTER(_Option)
        self._free_info.argtypes, self._free_info.restype = [ctypes.POINTER(_Option)], None
        self._socket = libpq.PQsocket
        self._socket.argtypes, self._socket.restype = [ctypes.c_void_p], ctypes.c_int
        if hasattr(libpq, "PQcancelBlocking"):
            # libpq 17 and later: encrypted if the connection is, and within its connect_timeout.
            create, finish, self._cancel = libpq.PQcancelCreate, libpq.PQcancelFinish, libpq.PQcancelBlocking
            self._cancel.argtypes = [ctypes.c_void_p]
            self._buffer_size = 0
        else:
            create, finish, self._cancel = libpq.PQgetCancel, libpq.PQfreeCancel, libpq.PQcancel
            self._cancel.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
            self._buffer_size = 256
        create.argtypes, create.restype = [ctypes.c_void_p], ctypes.c_void_p
        finish.argtypes, finish.restype = [ctypes.c_void_p], None
        self._create_cancel, self._finish_cancel = create, finish

    def create_cancel(self, connection: int) -> int | None:
        """Return a request to cancel what a connection is executing, which needs the connection no more."""
        request: int | None = self._create_cancel(connection)
        return request

    def send_cancel(self, request: int) -> None:
        """Send a request to cancel, and wait until the server has taken it."""
        if self._buffer_size:
            self._cancel(request, ctypes.create_string_buffer(self._buffer_size), self._buffer_size)
        else:
            self._cancel(request)

    def finish_cancel(self, request: int) -> None:
        """Free a request to cancel."""
        self._finish_cancel(request)

    def socket(self, connection: int) -> int:
        """Return the file descriptor of a connection, failed ones included; -1 if it has none."""
        return int(self._socket(connection))

    def settings(self, conninfo: str) -> dict[str, str]:
        """Return the settings that libpq reads from a connection string, which it must refuse in the end."""
        connection = self._start(conninfo.encode())
        try:
            options = self._info(connection)
            settings = {}
            for option in itertools.takewhile(lambda option: option.keyword, options or ()):
                if option.val is not None:
                    settings[option.keyword.decode()] = option.val.decode(errors="replace")
            self._free_info(options)
            return settings
        finally:
            self._finish(connection)


@functools.cache
def find_libpq(library: str) -> Libpq | None:
    """Return the libpq in a library, or that it is linked with; None if it can't be reached."""
    try:
        return Libpq(library)
    except (AttributeError, OSError):
        return None
