"""The psycopg2 driver."""

from __future__ import annotations

import itertools
import logging
import os
import time
from collections.abc import Callable
from typing import Any

import psycopg2
from psycopg2 import extensions

from .. import green
from . import patch_psycopg
from .psycopg2_connection import Connection
from .server import CHECK_INTERVAL, CLOSE_TIMEOUT, is_check_interval_refused, is_full

logger = logging.getLogger("geventpool.psycopg2")

_serials = itertools.count(1)


class Psycopg2Driver:
    """Opens, checks, cleans and closes connections of psycopg2.

    :param parameters: returns the keyword arguments of ``psycopg2.connect``, asked for at each connect.
    :param configure: sets up the session of a connection (time zone, role), as autocommitted queries.
    :param isolation_level: of the transactions, a constant of ``psycopg2.extensions``; None for the server's default.
    :param discard_all: whether to run DISCARD ALL on a connection that comes back.
    """

    name = "psycopg2"

    def __init__(
        self,
        parameters: Callable[[], dict[str, Any]],
        configure: Callable[[Any], object],
        isolation_level: int | None = None,
        discard_all: bool = False,
    ) -> None:
        self._parameters = parameters
        self._configure = configure
        self._isolation_level = isolation_level
        self._discard_all = discard_all
        self._checks_client = True

    def connect(self, opening: Callable[[Any], None]) -> Connection:
        """Connect, in autocommit mode, with the session configured."""
        patch_psycopg()
        parameters = self._parameters()
        if not self._checks_client or not _add_check_interval(parameters):
            return self._connect(parameters, opening)
        try:
            return self._connect(parameters, opening)
        except psycopg2.OperationalError as error:
            if not is_check_interval_refused(str(error)):
                raise
            logger.info("The server, or a pooler before it, doesn't know client_connection_check_interval")
            self._checks_client = False
        return self._connect(self._parameters(), opening)

    def _connect(self, parameters: dict[str, Any], opening: Callable[[Any], None]) -> Connection:
        timeout = _connect_timeout(parameters)
        kind = _kind_of(parameters.pop("connection_factory", None))

        def factory(dsn: str, **kwargs: Any) -> Connection:
            connection = kind.__new__(kind, dsn, **kwargs)  # type: ignore[call-arg]
            connection.serial = next(_serials)
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
        self._configure(connection)
        return connection

    def is_alive(self, connection: Connection) -> bool:
        """Tell whether the server has not hung up, by a look at the socket."""
        # The server says nothing to an idle client, but good-bye. (Notifications are of no use to the next holder.)
        return not connection.closed and not green.is_readable(connection.fileno())

    def time_zone(self, connection: Connection) -> str | None:
        """Return the session's time zone, which the server reports with each change."""
        return connection.get_parameter_status("TimeZone")

    def is_in_transaction(self, connection: Connection) -> bool:
        """Tell whether the server has a transaction open; a closed connection has none."""
        return not connection.closed and (connection.get_transaction_status() != extensions.TRANSACTION_STATUS_IDLE)

    def clean(self, connection: Connection) -> bool:
        """End what transaction there is; False for a connection that is beyond that."""
        if connection.closed:
            return False
        had_server_side_cursors = connection.close_cursors()
        if connection.status == extensions.STATUS_BEGIN:
            connection.rollback()
        if connection.status != extensions.STATUS_READY:
            return False
        if not connection.autocommit:
            connection.autocommit = True
        if connection.get_transaction_status() != extensions.TRANSACTION_STATUS_IDLE:
            _execute(connection, "ROLLBACK")  # The transaction was begun by hand.
        if had_server_side_cursors:
            _execute(connection, "CLOSE ALL")  # In a failed transaction, psycopg2 only takes note.
        if self._discard_all:
            _execute(connection, "DISCARD ALL")
            self._configure(connection)
        return (
            connection.get_transaction_status() == extensions.TRANSACTION_STATUS_IDLE
            and connection.isolation_level == self._isolation_level
            and connection.readonly is None
            and connection.deferrable is None
        )

    def close(self, connection: Connection) -> None:
        """Close a connection and wait, for CLOSE_TIMEOUT at the most, until the server has too."""
        connection.close()
        if not connection.await_end(CLOSE_TIMEOUT):
            logger.warning("The server did not confirm the end of a connection within %s s", CLOSE_TIMEOUT)

    def is_server_full(self, error: BaseException) -> bool:
        """Tell whether connecting failed for want of a free connection on the server."""
        # psycopg2 knows no SQLSTATE of a failed connect.
        return isinstance(error, psycopg2.OperationalError) and is_full(str(error))


def _execute(connection: Connection, sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def _kind_of(factory: type[extensions.connection] | None) -> type[Connection]:
    """Combine the user's connection class with ours."""
    if factory is None or issubclass(Connection, factory):
        return Connection
    return type(factory.__name__, (Connection, factory), {})


def _add_check_interval(parameters: dict[str, Any]) -> bool:
    """Have the server look after its client while it works for it; False if the user has a say in that."""
    options = parameters.get("options") or os.environ.get("PGOPTIONS", "")
    if "client_connection_check_interval" in options or "service" in parameters:
        return False
    parameters["options"] = f"{options} -c client_connection_check_interval={CHECK_INTERVAL}".lstrip()
    return True


def _connect_timeout(parameters: dict[str, Any]) -> float | None:
    """Return the seconds that connecting may take: libpq, which applies it to each host, doesn't in green mode."""
    try:
        per_host = int(parameters.get("connect_timeout") or os.environ.get("PGCONNECT_TIMEOUT") or 0)
    except (OverflowError, ValueError):
        return None  # libpq will say what is wrong with it.
    hosts = str(parameters.get("host") or "").count(",") + 1
    return max(per_host, 2) * hosts if per_host > 0 else None
