"""The psycopg 3 driver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_attempts, conninfo_to_dict, make_conninfo, timeout_from_conninfo
from psycopg.pq import TransactionStatus

from .base import BaseDriver
from .psycopg_connection import Connection


class PsycopgDriver(BaseDriver[Connection]):
    """The driver of psycopg 3; its isolation levels are those of ``psycopg.IsolationLevel``."""

    name = "psycopg"
    error = psycopg.Error
    connect_error = psycopg.OperationalError

    def _open(self, parameters: dict[str, Any], opening: Callable[[Any], None]) -> Connection:
        parameters.pop("autocommit", None)
        own = {name: parameters.pop(name, None) for name in ("context", "cursor_factory", "row_factory")}
        prepare_threshold = parameters.pop("prepare_threshold", 5)
        connection = self._establish(conninfo_to_dict(**parameters), opening)
        connection.set_up(**own, prepare_threshold=prepare_threshold)
        connection.isolation_level = self._isolation_level  # type: ignore[assignment]  # It converts numbers.
        connection.autocommit = True
        return connection

    def _establish(self, settings: dict[str, Any], opening: Callable[[Any], None]) -> Connection:
        """Connect to the first host, or address of a host, that takes us."""
        timeout = timeout_from_conninfo(settings)
        errors = []
        for attempt in conninfo_attempts(settings):
            # libpq, which does not apply the timeout here, does when it cancels.
            parameters: dict[str, Any] = {**attempt, "connect_timeout": timeout}
            connection = Connection.start(make_conninfo(**parameters))
            opening(connection)
            try:
                connection.establish(timeout)
            except psycopg.OperationalError as error:
                self.close(connection)
                errors.append(error)
            else:
                return connection
        if len(errors) == 1:
            raise errors[0]
        raise type(errors[-1])("\n".join(map(str, errors)))

    def time_zone(self, connection: Connection) -> str | None:
        """Return the session's time zone, which the server reports with each change."""
        name = connection.pgconn.parameter_status(b"TimeZone")
        return None if name is None else name.decode("utf-8", "replace")

    def _transaction_status(self, connection: Connection) -> int:
        return connection.pgconn.transaction_status

    def _is_in_use(self, connection: Connection) -> bool:
        return connection.closed or connection.is_busy()

    def _end_transaction(self, connection: Connection) -> bool:
        if connection.has_transaction():
            connection.rollback()
        if not connection.autocommit:
            connection.autocommit = True
        if connection.isolation_level != self._isolation_level:
            connection.isolation_level = self._isolation_level  # type: ignore[assignment]
        return True

    def _is_as_opened(self, connection: Connection) -> bool:
        return connection.pgconn.transaction_status == TransactionStatus.IDLE

    def _execute(self, connection: Connection, sql: str) -> None:
        with psycopg.Cursor(connection) as cursor:
            cursor.execute(sql.encode(), prepare=False)
