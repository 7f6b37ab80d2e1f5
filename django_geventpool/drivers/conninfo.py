"""The settings that libpq connects with: what it is given, what a service says, the environment, and its defaults."""

from __future__ import annotations

import ctypes
import functools
import itertools
import os
from collections.abc import Callable, Mapping
from typing import Any

#: Read where libpq can't be asked.
_ENVIRONMENT = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "load_balance_hosts": "PGLOADBALANCEHOSTS",
}
#: Parameters that point to settings elsewhere.
_ELSEWHERE = frozenset(("conninfo", "dsn", "service"))
#: A value that libpq refuses, so that it reads its parameters and goes no further.
_STOP = {"sslmode": "?"}


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


class _Libpq:
    """The functions of libpq that tell its settings. ctypes lets go of the GIL while it calls them.

    :param library: the file name of libpq, or of a library that is linked with it.
    :raises OSError, AttributeError: if libpq can't be reached that way.
    """

    def __init__(self, library: str) -> None:
        libpq = ctypes.CDLL(library)
        self.start, self.finish = libpq.PQconnectStart, libpq.PQfinish
        self.info, self.free = libpq.PQconninfo, libpq.PQconninfoFree
        self.start.argtypes, self.start.restype = [ctypes.c_char_p], ctypes.c_void_p
        self.finish.argtypes, self.finish.restype = [ctypes.c_void_p], None
        self.info.argtypes, self.info.restype = [ctypes.c_void_p], ctypes.POINTER(_Option)
        self.free.argtypes, self.free.restype = [ctypes.POINTER(_Option)], None

    def settings(self, conninfo: str) -> dict[str, str]:
        """Return the settings that libpq reads from a connection string, which it refuses in the end."""
        connection = self.start(conninfo.encode())
        try:
            options = self.info(connection)
            settings = {}
            for option in itertools.takewhile(lambda option: option.keyword, options or ()):
                if option.val is not None:
                    settings[option.keyword.decode()] = option.val.decode(errors="replace")
            self.free(options)
            return settings
        finally:
            self.finish(connection)


@functools.cache
def _libpq(library: str) -> _Libpq | None:
    try:
        return _Libpq(library)
    except (AttributeError, OSError):
        return None


def effective_settings(
    library: str, make_conninfo: Callable[..., str], parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the settings that libpq would connect with, but for the password; nothing connects.

    :param library: the file name of libpq, or of a library that is linked with it.
    :param make_conninfo: makes a connection string of keyword arguments.
    :param parameters: what is given to the driver.
    :raises Exception: what ``make_conninfo`` raises.
    """
    conninfo = make_conninfo(**{**parameters, "password": None, **_STOP})
    libpq = _libpq(library)
    if libpq is not None:
        return libpq.settings(conninfo)
    if _ELSEWHERE & parameters.keys() or "PGSERVICE" in os.environ:
        return {}
    environment = {name: os.environ[variable] for name, variable in _ENVIRONMENT.items() if variable in os.environ}
    return {**environment, **parameters}
