"""The psycopg 3 driver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_attempts, conninfo_to_dict, make_conninfo, timeout_from_conninfo
from psycopg.pq import TransactionStatus

from .base import BaseDriver, execute
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

    def _transaction_status(self, connection: Connection) -> int:
        return connection.pgconn.transaction_status

    def clean(self, connection: Connection) -> bool:
        """End what transaction there is; False for a connection that is beyond that."""
        if connection.closed or connection.is_busy():
            return False
        had_server_side_cursors = connection.close_cursors()
        connection.rollback()
        if not connection.autocommit:
            connection.autocommit = True
        if had_server_side_cursors:
            execute(connection, "CLOSE ALL")  # In a failed transaction, psycopg leaves them to the server.
        connection.reset()
        if connection.isolation_level != self._isolation_level:
            connection.isolation_level = self._isolation_level  # type: ignore[assignment]
        if self._discard_all:
            execute(connection, "DISCARD ALL")
            connection.forget_prepared_statements()
            self._configure(connection)
        return connection.pgconn.transaction_status == TransactionStatus.IDLE and not self.is_lost(connection)
