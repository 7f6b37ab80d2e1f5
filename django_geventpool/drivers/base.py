"""What the drivers have in common."""

from __future__ import annotations

import abc
import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any, Generic, TypeVar

from .. import green
from ..options import DiscardAll
from ..pool.counters import StateKind
from ..pool.driver import ConnectionState, Driver
from ..pool.fleet.badge import application_name, renamed
from ..pool.fleet.census import Census, parse
from . import session_traces
from .connection import PooledConnection
from .failover import STANDBY, FailoverWatch
from .naming import users_application_name
from .server import (
    CLOSE_TIMEOUT,
    FAILED_CLOSE_TIMEOUT,
    add_check_interval,
    is_full,
    is_idle_too_long,
    may_be_check_interval,
    session_list_query,
)
from .session_changes import ANY, CURSORS, IDENTITY
from .session_questions import HAS_ADVISORY_LOCK, settings_set_back
from .session_state import ENCODING, RECORDED, SETTING, reset_settings, reset_statement

#: By libpq's PQTransactionStatus: active, in a transaction, in a failed one.
_STATES: dict[int, ConnectionState] = {1: "active", 2: "idle in transaction", 3: "idle in transaction"}

#: The SQLSTATEs of statement_timeout (and others that cancel) and of lock_timeout.
_OUT_OF_TIME = ("57014", "55P03")
#: That of idle_session_timeout.
_IDLE_TOO_LONG = "57P05"
#: Those of a server, or of an administrator, that ends the session; None if it just hangs up.
_SHUT_DOWN = (None, "57P01", "57P02")
#: That of a write in a transaction that is read only.
_READ_ONLY = "25006"

#: The kind of what only the server's report tells of.
_SETTING: tuple[StateKind, ...] = ("setting",)

#: Of a server that doesn't say who is connected.
_UNKNOWN = Census([], is_readable=False)

C = TypeVar("C", bound=PooledConnection)


class BaseDriver(Driver, abc.ABC, Generic[C]):
    """The base of both drivers: opens, checks, resets and closes connections.

    :param parameters: returns the keyword arguments of the driver's ``connect``, asked for at each connect.
    :param configure: sets up the session of a connection (time zone, role), as autocommitted queries.
    :param isolation_level: of the transactions, as the driver has it; None for the server's default.
    :param discard_all: whether to run DISCARD ALL on a connection that comes back; "dirty": if its session was changed.
    :param check_interval: how often the server is to look whether the client of a running query is still there
        (seconds); None for not at all.
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
    ) -> None:
        self.parameters = parameters
        self._configure = configure
        self._isolation_level = isolation_level
        self._discard_all = discard_all
        self._check_interval = check_interval
        #: Whether a connect has succeeded with the check interval.
        self._is_interval_known = False
        self._failover = FailoverWatch()
        self._reads_list = True
        self._has_told = False
        self._logger = logging.getLogger(f"geventpool.{self.name}")

    def connect(self, opening: Callable[[Any], None], badge: str = "") -> C:
        """Connect, in autocommit mode, with the session configured, and a badge behind the user's name for it."""
        connection = self._open_checked(opening, badge)
        self._configure(connection)
        connection.record_as_opened()
        self._failover.opened(connection)
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

    @abc.abstractmethod
    def _transaction_status(self, connection: C) -> int:
        """Return libpq's PQTransactionStatus of an open connection."""

    def time_zone(self, connection: C) -> str | None:
        """Return the session's time zone, which the server reports with each change."""
        return connection.reported("TimeZone")

    def is_in_transaction(self, connection: C) -> bool:
        """Return whether the server has a transaction open; a closed connection has none."""
        return not connection.closed and self._transaction_status(connection) != 0

    def state(self, connection: C) -> ConnectionState:
        """Return what a lent connection is doing; a closed one is idle."""
        return "idle" if connection.closed else _STATES.get(self._transaction_status(connection), "idle")

    def reset(self, connection: C) -> bool:
        """Put back everything that the holder may have changed; False if the connection is beyond that.

        ``session_state`` has the list.
        """
        session = connection.session
        if self._is_in_use(connection) or not self._end_use(connection):
            if (recorder := session_traces.recorder) is not None:
                recorder.forget(session)  # It ends with the connection.
            return False
        if (recorder := session_traces.recorder) is not None:
            self._settle_locks(connection)
            recorder.end_loan(session)
        changes = connection.changes()
        if changes & ENCODING:
            return False
        is_renewed = connection.restore()
        if changes or is_renewed or self._discard_all is True:
            self._clean(connection, changes, is_renewed)
        connection.forget_news()
        return self._is_as_opened(connection) and not self.finds_server_lost(connection)

    def _end_use(self, connection: C) -> bool:
        """End what the holder is in the middle of; False if that fails."""
        connection.close_cursors()
        return self._end_transaction(connection)

    def _clean(self, connection: C, changes: int, is_renewed: bool) -> None:
        """Put the session back in order, after which nobody's changes are recorded."""
        session = connection.session
        session.owner = None  # What follows is not the holder's doing.
        if self._discard_all is True or (self._discard_all and (changes & SETTING or session.is_dirty())):
            self._discard(connection)
            connection.renew()
        else:
            self._put_back(connection, changes & (ANY | CURSORS), is_renewed)
            session.end_loan()

    def _discard(self, connection: C) -> None:
        """Clear the session, and configure it as when it was opened."""
        self._execute(connection, "DISCARD ALL")
        connection.forget_prepared_statements()
        self._configure(connection)
        connection.begin_anew()

    def _put_back(self, connection: C, changes: int, is_renewed: bool) -> None:
        """Put back what was changed on the server; after more than cursors, the session counts as a new one."""
        if changes:
            self._execute(connection, reset_statement(changes))
        if changes & IDENTITY:
            self._configure(connection)
        if changes & ~CURSORS:
            connection.record_report()
        if is_renewed or changes & ~CURSORS:
            connection.renew()

    def clear_set_up(self, connection: C) -> None:
        if connection.has_lasting_set_up():
            if self._discard_all:
                self._reset_set_up(connection)
            connection.begin_anew()

    def _reset_set_up(self, connection: C) -> None:
        connection.session.owner = None  # The one that had it last, and this is not its doing.
        names = connection.settings_set_up()
        if names is not None:
            # Cheaper than to discard all: the time zone stays.
            try:
                self._execute(connection, reset_settings(names))
            except connection.driver_error:
                if connection.closed:
                    raise
            else:
                return
        self._discard(connection)

    def kinds_kept(self, connection: C) -> Collection[StateKind]:
        session = connection.session
        if not session.changes & RECORDED:  # Nearly always.
            return _SETTING if not connection.closed and connection.reports_state() else ()
        if connection.closed:
            return ()
        self._settle_locks(connection)
        self._settle_settings(connection)
        kinds = session.kinds_kept
        # What was made for now only may be what is reported.
        return {*kinds, "setting"} if connection.reports_state() and not session.has_passing else kinds

    def _settle_locks(self, connection: C) -> None:
        """Ask the server for what only it knows of the session's advisory locks, if anything."""
        session = connection.session
        if session.may_have_lock and not self._is_in_use(connection):
            session.record_locks(has_any=self._has_advisory_lock(connection))

    def _has_advisory_lock(self, connection: C) -> bool:
        """Ask the server whether the session has advisory locks; in a transaction, that one's count, too."""
        return self._answer(connection, HAS_ADVISORY_LOCK) is not False

    def _settle_settings(self, connection: C) -> None:
        """Ask the server which settings were set back to what RESET would set, if any may have been."""
        session = connection.session
        if self._transaction_status(connection):
            return  # What is set here may be so for the transaction only.
        if (question := settings_set_back(session.settings_set_again())) and not self._is_in_use(connection):
            session.record_set_back((self._answer(connection, question) or "").split())

    def _answer(self, connection: C, question: str) -> Any:
        """Return the server's answer; None if it gives none."""
        was_idle = not self._transaction_status(connection)
        try:
            answer = self._fetch_value(connection, question)
            if was_idle and self._transaction_status(connection):
                connection.rollback()  # Asking has begun a transaction.
        except connection.driver_error:
            return None
        return answer

    @abc.abstractmethod
    def _is_in_use(self, connection: C) -> bool:
        """Return whether a connection is closed, or in the middle of something that can't be ended."""

    @abc.abstractmethod
    def _end_transaction(self, connection: C) -> bool:
        """Roll back any transaction, and set autocommit on; False if that fails."""

    @abc.abstractmethod
    def _is_as_opened(self, connection: C) -> bool:
        """Return whether a connection is idle, and its transactions are as those of a new one."""

    @abc.abstractmethod
    def _execute(self, connection: C, sql: str) -> None:
        """Execute SQL without a result, perhaps several statements, by a cursor that nobody else has changed."""

    @abc.abstractmethod
    def _fetch_value(self, connection: C, sql: str) -> Any:
        """Execute SQL by such a cursor, and return the value that it selects."""

    @abc.abstractmethod
    def _fetch_own_text(self, connection: C, sql: str) -> str:
        """Execute SQL of the pool's own, which is no change of the session, and return the text that it selects."""

    def has_not_begun(self, connection: C, error: BaseException) -> bool:
        """Return whether the error of a statement proves that the connection was lost before the server began it.

        The server checks the limit of idle sessions just before it begins a statement, so a session that it ended for
        that has begun none. If a BEGIN fails, the statement after it was not sent.
        """
        state = _sqlstate(error)
        if state == _IDLE_TOO_LONG or (state is None and is_idle_too_long(str(error))):
            return True
        return state in _SHUT_DOWN and connection.has_failed_to_begin()

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
            if _sqlstate(error) in _OUT_OF_TIME:
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
        self._logger.info("The server doesn't say who is connected: %s", refusal)
        self._reads_list = False
        return _UNKNOWN

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
