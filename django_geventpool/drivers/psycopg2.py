"""The psycopg2 driver."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import psycopg2
from psycopg2 import _psycopg, extensions

from . import hosts, patch_psycopg
from .base import BaseDriver
from .connect_call import ConnectCall
from .conninfo import effective_settings
from .patience import Attempt
from .psycopg2_connection import Psycopg2Connection

#: The driver's own typecasters of what the pool asks for: code may have registered others for the whole process.
_OWN_TYPES = {oid: cast for cast in (extensions.BOOLEAN, extensions.UNICODE) for oid in cast.values}


class Psycopg2Driver(BaseDriver[Psycopg2Connection]):
    """The driver of psycopg2; its isolation levels are constants of ``psycopg2.extensions``."""

    name = "psycopg2"
    error = psycopg2.Error
    connect_error = psycopg2.OperationalError

    def connect(self, opening: Callable[[Any], None], badge: str = "") -> Psycopg2Connection:
        """Connect, in autocommit mode, with the session configured, and a badge behind the user's name for it."""
        patch_psycopg()
        return super().connect(opening, badge)

    def _open(self, parameters: dict[str, Any], opening: Callable[[Any], None]) -> Psycopg2Connection:
        kind = _kind_of(parameters.pop("connection_factory", None))
        own = {name: parameters.pop(name) for name in ("cursor_factory",) if name in parameters}
        settings = self._effective_settings(parameters)
        timeout = hosts.connect_timeout(settings)

        def connect_to(target: dict[str, Any], attempt: Attempt) -> Psycopg2Connection:
            close_failed = functools.partial(self.close_failed, opening=opening)
            with ConnectCall[Psycopg2Connection](opening, close_failed, timeout, attempt) as call:
                return call.opened(psycopg2.connect(connection_factory=kind, **target, **own))

        connection = hosts.connect(parameters, settings, connect_to, self.connect_error, self._dead_hosts)
        if self._isolation_level is not None:
            # Before autocommit is on, where this would cost a round trip.
            connection.isolation_level = self._isolation_level
        connection.autocommit = True
        return connection

    def _effective_settings(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        return effective_settings(_psycopg.__file__, extensions.make_dsn, parameters)

    def _transaction_status(self, connection: Psycopg2Connection) -> int:
        return connection.get_transaction_status()

    def _is_in_use(self, connection: Psycopg2Connection) -> bool:
        return bool(connection.closed) or connection.is_active()

    def _end_transaction(self, connection: Psycopg2Connection) -> bool:
        if connection.status != extensions.STATUS_READY:
            if connection.status != extensions.STATUS_BEGIN:
                return False
            connection.rollback()
        if not connection.autocommit:
            connection.autocommit = True
        if connection.get_transaction_status() != extensions.TRANSACTION_STATUS_IDLE:
            self._execute(connection, "ROLLBACK")  # The transaction was begun by hand.
        return True

    def _is_as_opened(self, connection: Psycopg2Connection) -> bool:
        return (
            connection.get_transaction_status() == extensions.TRANSACTION_STATUS_IDLE
            and connection.isolation_level == self._isolation_level
            and connection.readonly is None
            and connection.deferrable is None
        )

    def _execute(self, connection: Psycopg2Connection, sql: str) -> None:
        connection.session.uses += 1  # What it changes, the server reports.
        with extensions.cursor(connection) as cursor:
            cursor.execute(sql)

    def _fetch_value(self, connection: Psycopg2Connection, sql: str) -> Any:
        connection.session.uses += 1
        with extensions.cursor(connection) as cursor:
            cursor.string_types = _OWN_TYPES
            cursor.execute(sql)
            row = cursor.fetchone()
        return None if row is None else row[0]

    def _fetch_own_text(self, connection: Psycopg2Connection, sql: str) -> str:
        value = self._fetch_value(connection, sql)
        return str(value or "")


def _kind_of(factory: type[extensions.connection] | None) -> type[Psycopg2Connection]:
    """Combine the user's connection class with ours."""
    if factory is None or issubclass(Psycopg2Connection, factory):
        return Psycopg2Connection
    return type(factory.__name__, (Psycopg2Connection, factory), {"__module__": factory.__module__})
