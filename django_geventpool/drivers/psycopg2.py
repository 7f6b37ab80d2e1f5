"""The psycopg2 driver."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import psycopg2
from psycopg2 import extensions

from . import patch_psycopg
from .base import BaseDriver
from .psycopg2_connection import Connection


class Psycopg2Driver(BaseDriver[Connection]):
    """The driver of psycopg2; its isolation levels are constants of ``psycopg2.extensions``."""

    name = "psycopg2"
    error = psycopg2.Error
    connect_error = psycopg2.OperationalError

    def connect(self, opening: Callable[[Any], None]) -> Connection:
        """Connect, in autocommit mode, with the session configured."""
        patch_psycopg()
        return super().connect(opening)

    def _open(self, parameters: dict[str, Any], opening: Callable[[Any], None]) -> Connection:
        timeout = _connect_timeout(parameters)
        kind = _kind_of(parameters.pop("connection_factory", None))

        def factory(dsn: str, **kwargs: Any) -> Connection:
            connection = kind.__new__(kind, dsn, **kwargs)  # type: ignore[call-arg]
            connection.own()
            connection.connect_deadline = None if timeout is None else time.monotonic() + timeout
            opening(connection)
            connection.__init__(dsn, **kwargs)  # type: ignore[misc]
            return connection

        connection: Connection = psycopg2.connect(connection_factory=factory, **parameters)
        if self._isolation_level is not None:
            # Before autocommit is on, where this would cost a round trip.
            connection.isolation_level = self._isolation_level
        connection.autocommit = True
        return connection

    def time_zone(self, connection: Connection) -> str | None:
        """Return the session's time zone, which the server reports with each change."""
        return connection.get_parameter_status("TimeZone")

    def _transaction_status(self, connection: Connection) -> int:
        return connection.get_transaction_status()

    def _is_in_use(self, connection: Connection) -> bool:
        return bool(connection.closed) or connection.is_used_elsewhere()

    def _end_transaction(self, connection: Connection) -> bool:
        if connection.status == extensions.STATUS_BEGIN:
            connection.rollback()
        if connection.status != extensions.STATUS_READY:
            return False
        if not connection.autocommit:
            connection.autocommit = True
        if connection.get_transaction_status() != extensions.TRANSACTION_STATUS_IDLE:
            self._execute(connection, "ROLLBACK")  # The transaction was begun by hand.
        return True

    def _is_as_opened(self, connection: Connection) -> bool:
        return (
            connection.get_transaction_status() == extensions.TRANSACTION_STATUS_IDLE
            and connection.isolation_level == self._isolation_level
            and connection.readonly is None
            and connection.deferrable is None
        )

    def _execute(self, connection: Connection, sql: str) -> None:
        with extensions.cursor(connection) as cursor:
            cursor.execute(sql)


def _kind_of(factory: type[extensions.connection] | None) -> type[Connection]:
    """Combine the user's connection class with ours."""
    if factory is None or issubclass(Connection, factory):
        return Connection
    return type(factory.__name__, (Connection, factory), {})


def _connect_timeout(parameters: dict[str, Any]) -> float | None:
    """Return the seconds that connecting may take: libpq, which applies it to each host, doesn't in green mode."""
    try:
        per_host = int(parameters.get("connect_timeout") or os.environ.get("PGCONNECT_TIMEOUT") or 0)
    except (OverflowError, ValueError):
        return None  # libpq will say what is wrong with it.
    hosts = str(parameters.get("host") or "").count(",") + 1
    return max(per_host, 2) * hosts if per_host > 0 else None
