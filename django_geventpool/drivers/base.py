"""What the drivers have in common."""

from __future__ import annotations

import abc
import logging
from collections.abc import Callable, Hashable, Mapping
from typing import Any

from .. import green
from ..options import DiscardAll
from ..pool.driver import ConnectionState, Driver, Use
from ..pool.fleet.badge import application_name, renamed
from ..pool.fleet.census import Census, parse
from .answers import WHERE, answers
from .connection import PooledConnection
from .dead_hosts import DeadHosts
from .failover import STANDBY, FailoverWatch
from .naming import users_application_name
from .resetting import C, ResettingDriver
from .server import (
    CLOSE_TIMEOUT,
    FAILED_CLOSE_TIMEOUT,
    add_check_interval,
    is_full,
    is_idle_too_long,
    is_made_up,
    may_be_check_interval,
    session_list_query,
)
from .session.state import SERVER
from .statement_limit import QUESTION, StatementLimit

#: By libpq's PQTransactionStatus: active, in a transaction, in a failed one.
_STATES: dict[int, ConnectionState] = {1: "active", 2: "idle in transaction", 3: "idle in transaction"}

#: The classes of SQLSTATEs of what will pass: conflicts, also of a standby's queries with what it replays; a server
#: that is short of something; timeouts and others that cancel; errors of its system.
_PASSING = ("40", "53", "55", "57", "58")
#: That of idle_session_timeout.
_IDLE_TOO_LONG = "57P05"
#: Those of a server, or of an administrator, that ends the session; None if it just hangs up.
_SHUT_DOWN = (None, "57P01", "57P02")
#: That of a write in a transaction that is read only.
_READ_ONLY = "25006"

#: Of a server that doesn't say who is connected.
_UNKNOWN = Census([], is_readable=False)


class BaseDriver(ResettingDriver[C], Driver, abc.ABC):
    """The base of both drivers: opens, checks, resets and closes connections.

    :param parameters: returns the keyword arguments of the driver's ``connect``, asked for at each connect.
    :param configure: sets up the session of a connection (time zone, role), as autocommitted queries.
    :param isolation_level: of the transactions, as the driver has it; None for the server's default.
    :param discard_all: whether to run DISCARD ALL on a connection that comes back; "dirty": if its session was changed.
    :param check_interval: how often the server is to look whether the client of a running query is still there
        (seconds); None for not at all.
    :param limits_statements: whether statements may take no longer than the time limits of their task leave.
    """

    name: str
    error: type[Exception]
    #: What the driver raises when it can't connect.
    connect_error: type[Exception]

    def __init__(
        self,
        parameters: Callable[[], dict[str, Any]],
        configure: Callable[[Any], object],
        isolation_level: int | None = None,
        discard_all: DiscardAll = "dirty",
        check_interval: float | None = 2,
        *,
        limits_statements: bool = False,
    ) -> None:
        self.parameters = parameters
        self._configure = configure
        self._isolation_level = isolation_level
        self._discard_all = discard_all
        self._check_interval = check_interval
        self._limits_statements = limits_statements
        #: Whether a connect has succeeded with the check interval.
        self._is_interval_known = False
        self._failover = FailoverWatch()
        self._dead_hosts = DeadHosts(connect_error=self.connect_error)
        self._reads_list = self._wears_badges = True
        self._has_told = False
        self._logger = logging.getLogger(f"geventpool.{self.name}")

    def connect(self, opening: Callable[[Any], None], badge: str = "") -> C:
        """Connect, in autocommit mode, with the session configured, and a badge behind the user's name for it."""
        connection = self._open_named(opening, badge)
        connection.record_address()
        self._configure(connection)
        connection.record_as_opened()
        if self._limits_statements:
            connection.statement_limit = StatementLimit(self._fetch_own_text(connection, QUESTION))
        self._failover.opened(connection)
        return connection

    def _open_named(self, opening: Callable[[Any], None], badge: str) -> C:
        """Connect, with a badge unless a pooler is in between.

        There nobody could read it, and poolers that pass sessions on between clients rename them each time, which costs
        a round trip: so who has found one connects once more.
        """
        connection = self._open_checked(opening, badge if self._wears_badges else "")
        if badge and self._wears_badges and is_made_up(connection.server_pid()):
            self._wears_badges = False
            self.close_failed(connection, opening)
            connection = self._open_checked(opening, "")
        return connection

    def _parameters(self, badge: str) -> dict[str, Any]:
        """Return the keyword arguments of the driver's ``connect``."""
        parameters = self.parameters()
        own = users_application_name(parameters, self._effective_settings) if badge else None
        if own is not None:
            parameters["application_name"] = application_name(own, badge)
        return parameters

    @abc.abstractmethod
    def _effective_settings(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return what libpq would connect with; empty if it can't be asked."""

    def _open_checked(self, opening: Callable[[Any], None], badge: str) -> C:
        """Connect, and make the server look after its client during queries, if it can.

        Until a connect has succeeded that way, a refused one is tried once more without: front ends of many kinds
        refuse the option, in words of their own.
        """
        parameters = self._parameters(badge)
        if self._check_interval is None or not add_check_interval(parameters, self._check_interval):
            return self._open(parameters, opening)
        try:
            connection = self._open(parameters, opening)
        except self.connect_error as error:
            if not may_be_check_interval(str(error), self._is_interval_known):
                raise
            refusal = str(error)
        else:
            if not self._is_interval_known:
                self._is_interval_known = True
                self._logger.info(
                    "The server looks every %s s whether the client of a running query is still there",
                    self._check_interval,
                )
            return connection
        connection = self._open(self._parameters(badge), opening)
        if self._check_interval is not None:
            self._check_interval = None
            self._logger.info(
                "The server, or what stands before it, refuses the option client_connection_check_interval: queries of "
                "a process that is killed go on to their end, unless the server itself sets it. Setting "
                "CLIENT_CHECK_INTERVAL to None saves the attempt. It said: %s",
                refusal.strip(),
            )
        return connection

    @abc.abstractmethod
    def _open(self, parameters: dict[str, Any], opening: Callable[[Any], None]) -> C:
        """Connect, in autocommit mode."""

    def is_alive(self, connection: C) -> bool:
        """Return whether the server has not hung up, by a look at the socket, and no query of a former holder runs."""
        # What an idle client gets to read is the end, or notifications, which are of no use to the next holder.
        return (
            not connection.closed
            and self._transaction_status(connection) == 0
            and not green.is_readable(connection.fileno())
            and (connection.serial >= self._failover.trust_from or not self._failover.is_doubtful(connection))
        )

    def time_zone(self, connection: C) -> str | None:
        """Return the session's time zone, which the server reports with each change."""
        return connection.reported("TimeZone")

    def answers(self, parameters: Mapping[str, Any], timeout: float) -> bool | None:
        """Return whether a server answers in time, without a session of its own; None if that can't be told.

        :param parameters: what connections are opened with; of these only those that say where the server is.
        :param timeout: in seconds.
        """
        where = {name: parameters[name] for name in WHERE if parameters.get(name)}
        return answers(self._effective_settings(where), timeout)

    def is_in_transaction(self, connection: C) -> bool:
        """Return whether the server has a transaction open; a closed connection has none."""
        return not connection.closed and self._transaction_status(connection) != 0

    def state(self, connection: C) -> ConnectionState:
        """Return what a lent connection is doing; a closed one is idle."""
        return "idle" if connection.closed else _STATES.get(self._transaction_status(connection), "idle")

    def use(self, connection: C) -> Use:
        """Return how far the use of a connection has got."""
        return Use(connection.session.ended, connection.session.uses)

    def has_not_begun(self, connection: C, error: BaseException) -> bool:
        """Return whether the error of a statement proves that the connection was lost before the server began it.

        The server checks the limit of idle sessions just before it begins a statement, so a session that it ended for
        that has begun none. If a BEGIN fails, the statement after it was not sent.
        """
        state = _sqlstate(error)
        if state == _IDLE_TOO_LONG or (state is None and is_idle_too_long(str(error))):
            return True
        return state in _SHUT_DOWN and connection.has_failed_to_begin()

    @abc.abstractmethod
    def _fetch_own_text(self, connection: C, sql: str) -> str:
        """Execute SQL of the pool's own, which is no change of the session, and return the text that it selects."""

    def look(self, connection: C, badge: str) -> Census | None:
        """Read the session list, in one round trip that renames the session; one that says nothing if it can't be."""
        if not self._reads_list:
            return _UNKNOWN
        name = renamed(connection.reported("application_name") or "", badge)
        try:
            census = parse(self._fetch_own_text(connection, session_list_query(name)), connection.server_pid())
        except connection.driver_error as error:
            if connection.closed:
                raise
            if (_sqlstate(error) or "").startswith(_PASSING):
                return None
            refusal: Exception = error
        except ValueError as error:
            refusal = error
        else:
            if not census.is_readable and not self._has_told:
                self._has_told = True
                self._logger.info(
                    "The server's session list doesn't show whose sessions are whose, as there is a pooler in between: "
                    "processes that share a limit can't see each other"
                )
            return census
        self._logger.info(
            "The server doesn't say who is connected, so processes that share a limit can't see each other: %s", refusal
        )
        self._reads_list = False
        return _UNKNOWN

    def server_of(self, connection: C) -> Hashable:
        """Return the address at the other end of the connection; None if that isn't known."""
        return connection.server_address

    def is_interrupted(self, connection: C) -> bool:
        """Return whether a holder was interrupted in the middle of a query."""
        return connection.is_severed

    def close(self, connection: C) -> None:
        """Close a connection and wait, for CLOSE_TIMEOUT at the most, until the server has too."""
        connection.close()
        if not connection.await_end(CLOSE_TIMEOUT):
            self._logger.warning("The server did not confirm the end of a connection within %s s", CLOSE_TIMEOUT)

    def finds_server_lost(self, connection: C) -> bool:
        """Return whether the server of a clean connection has become a standby, or read only; it may be asked.

        :raises Exception: the driver's, if the server must be asked, and doesn't answer.
        """
        if connection.was_refused_write:
            return self._failover.examine(connection)
        return connection.was_standby is False and connection.reported(STANDBY) == "on"

    def close_failed(self, connection: C, opening: Callable[[Any], None]) -> None:
        """Close a connection that could not be established.

        Before the next attempt, the end of its session on the server, if there is one, is awaited for a moment only. If
        that is too short, the pool closes the connection while the next one is being opened.
        """
        connection.close()
        if connection.try_await_end(FAILED_CLOSE_TIMEOUT):
            opening(None)

    def is_server_full(self, error: BaseException) -> bool:
        """Return whether connecting failed for want of a free connection on the server."""
        # Neither driver knows the SQLSTATE of a failed connect.
        return isinstance(error, self.connect_error) and is_full(str(error))


def _sqlstate(error: BaseException) -> str | None:
    state: str | None = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    return state


def note_error(connection: Any, error: Exception) -> None:
    """Record on a connection the error of a query, if it says that the server takes no writes."""
    if _sqlstate(error) == _READ_ONLY and isinstance(connection, PooledConnection):
        connection.was_refused_write = True
        connection.session.changes |= SERVER
