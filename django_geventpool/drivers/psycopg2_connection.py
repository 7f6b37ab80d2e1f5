"""The pool's kind of psycopg2 connection."""

from __future__ import annotations

import time
from typing import Any

import psycopg2
from psycopg2 import _psycopg, extensions

from .cancel import start_cancelling
from .connection import PooledConnection
from .door import entered

_isolation_level: Any = extensions.connection.isolation_level
_autocommit: Any = extensions.connection.autocommit


class Connection(PooledConnection, extensions.connection):
    """A connection of psycopg2 whose end on the server can be awaited."""

    # Where tracers look which database it is of.
    __module__ = extensions.connection.__module__

    driver_error = psycopg2.Error
    #: When connecting has taken long enough (monotonic seconds); None for as long as it takes.
    connect_deadline: float | None = None

    def __init__(self, dsn: str, *args: Any, **kwargs: Any) -> None:
        door = entered()
        if door is None:
            self.own()  # Somebody makes another like this one, as tracers do to have queries explained.
            super().__init__(dsn, *args, **kwargs)
            return
        door.begin(self)
        if door.timeout is not None:
            self.connect_deadline = time.monotonic() + door.timeout
        try:
            super().__init__(dsn, *args, **kwargs)
        except psycopg2.Error:
            door.close_failed(self)
            raise

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
        if not self.is_used_elsewhere():
            return  # There is no session yet, or none any more: nothing that could be interrupted.
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

    def has_failed_to_begin(self) -> bool:
        """Tell whether the last statement failed because the BEGIN before it did, as the connection was lost."""
        return not self.autocommit and self.status == extensions.STATUS_READY

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
