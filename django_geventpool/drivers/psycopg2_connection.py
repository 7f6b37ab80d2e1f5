"""The pool's kind of psycopg2 connection."""

from __future__ import annotations

from typing import Any

import psycopg2
from psycopg2 import _psycopg, extensions

from .cancel import start_cancelling
from .connection import PooledConnection

#: The states in which there is no session yet, and nothing to cancel; psycopg2 has no name for the second.
_CONNECTING = (extensions.STATUS_SETUP, 20)

_isolation_level: Any = extensions.connection.isolation_level
_autocommit: Any = extensions.connection.autocommit


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
        if self.status in _CONNECTING or self.pgconn_ptr is None:
            return
        self.is_severed = True
        if not self.is_revoked:  # Else it is cancelled already.
            self.start_cancelling()
        self.withhold_end()

    def start_cancelling(self) -> None:
        """Have the server stop what it is executing for this connection, without waiting for it."""
        pointer = self.pgconn_ptr
        if pointer is None:
            return
        self._cancelling = start_cancelling(_psycopg.__file__, pointer)
        if self._cancelling is None:
            self.cancel()  # Blocks everything, but for a moment only while the server answers.

    def reported(self, name: str) -> str | None:
        """Return what the server has said last of one of its parameters that it reports; None for others."""
        return self.get_parameter_status(name)

    def is_used_elsewhere(self) -> bool:
        """Tell whether another greenlet or thread is in the middle of a query, and has psycopg2's lock.

        psycopg2 leaves nobody in the middle of anything who isn't waiting for the server.
        """
        try:
            return self.get_transaction_status() == extensions.TRANSACTION_STATUS_ACTIVE
        except psycopg2.InterfaceError:
            return False  # Closed.

    # Under gevent and eventlet, who asks for psycopg2's lock while another greenlet has it blocks them all for ever.

    def commit(self) -> None:
        """Commit the transaction."""
        self._check_lock()
        super().commit()

    def rollback(self) -> None:
        """Roll the transaction back."""
        self._check_lock()
        super().rollback()

    @property
    def autocommit(self) -> bool:
        """Whether each query is a transaction of its own."""
        is_on: bool = _autocommit.__get__(self)
        return is_on

    @autocommit.setter
    def autocommit(self, is_on: bool) -> None:
        self._check_lock()
        _autocommit.__set__(self, is_on)

    def _check_lock(self) -> None:
        if self.is_used_elsewhere() and extensions.get_wait_callback() is not None:
            raise psycopg2.ProgrammingError("another greenlet is in the middle of a query on this connection")
