"""The psycopg 3 driver."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import MethodType
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.rows import scalar_row

from . import hosts
from .base import BaseDriver
from .connect_call import ConnectCall
from .conninfo import effective_settings
from .patience import Attempt
from .psycopg_connection import PsycopgConnection
from .psycopg_door import open_behind_doors
from .psycopg_libpq import library

open_behind_doors()


class PsycopgDriver(BaseDriver[PsycopgConnection]):
    """The driver of psycopg 3; its isolation levels are those of ``psycopg.IsolationLevel``."""

    name = "psycopg"
    error = psycopg.Error
    connect_error = psycopg.OperationalError

    def _open(self, parameters: dict[str, Any], opening: Callable[[Any], None]) -> PsycopgConnection:
        parameters.pop("autocommit", None)
        settings = self._effective_settings({name: parameters[name] for name in hosts.WHERE & parameters.keys()})
        connect = _public_connect()

        def connect_to(target: dict[str, Any], attempt: Attempt) -> PsycopgConnection:
            close_failed = functools.partial(self.close_failed, opening=opening)
            with ConnectCall[PsycopgConnection](opening, close_failed, attempt=attempt) as call:
                return call.opened(connect(**target))

        connection = hosts.connect(parameters, settings, connect_to, self.connect_error, self._dead_hosts)
        connection.isolation_level = self._isolation_level  # type: ignore[assignment]  # It converts numbers.
        connection.autocommit = True
        return connection

    def _effective_settings(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        return effective_settings(library(), make_conninfo, parameters)

    def _transaction_status(self, connection: PsycopgConnection) -> int:
        return connection.pgconn.transaction_status

    def _is_in_use(self, connection: PsycopgConnection) -> bool:
        return connection.closed or connection.is_busy()

    def _end_transaction(self, connection: PsycopgConnection) -> bool:
        if connection.may_lack_sync:
            connection.synchronize()
        if connection.has_transaction():
            connection.rollback()
        if not connection.autocommit:
            connection.autocommit = True
        if connection.isolation_level != self._isolation_level:
            connection.isolation_level = self._isolation_level  # type: ignore[assignment]
        return True

    def _is_as_opened(self, connection: PsycopgConnection) -> bool:
        return connection.pgconn.transaction_status == TransactionStatus.IDLE

    def _execute(self, connection: PsycopgConnection, sql: str) -> None:
        with psycopg.Cursor(connection) as cursor:
            cursor.execute(sql.encode(), prepare=False)

    def _fetch_value(self, connection: PsycopgConnection, sql: str) -> Any:
        with psycopg.Cursor(connection, row_factory=scalar_row) as cursor:
            return cursor.execute(sql.encode(), prepare=False).fetchone()

    def _fetch_own_text(self, connection: PsycopgConnection, sql: str) -> str:
        return connection.fetch_own_text(sql)


def _public_connect() -> Callable[..., Any]:
    """Return ``psycopg.connect``, as Django calls it; if nobody has wrapped that, what psycopg's pool calls."""
    connect = psycopg.connect
    # Not by isinstance: a proxy says that it is of the type of what it wraps.
    is_own = type(connect) is MethodType and connect.__self__ is psycopg.Connection
    return psycopg.Connection.connect if is_own else connect
