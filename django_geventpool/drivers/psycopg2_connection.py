"""The pool's kind of psycopg2 connection."""

from __future__ import annotations

from typing import Any

import psycopg2
from psycopg2 import _psycopg, extensions

from .cancel import start_cancelling
from .connection import PooledConnection

_isolation_level: Any = extensions.connection.isolation_level


class Connection(PooledConnection, extensions.connection):
    """A connection of psycopg2 whose end on the server can be awaited."""

    driver_error = psycopg2.Error
    #: When connecting has taken long enough (monotonic seconds); None for as long as it takes.
    connect_deadline: float | None = None

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

    def sever(self) -> None:
        """Stop what the server is executing for this connection, which psycopg2 is about to close."""
        if not self.is_ours():
            return
        self.keep_socket()
        pointer = self.pgconn_ptr
        if self.status == extensions.STATUS_SETUP or pointer is None:
            return
        self.is_severed = True
        if not start_cancelling(_psycopg.__file__, pointer):
            self.cancel()  # Blocks everything, but for a moment only while the server answers.
