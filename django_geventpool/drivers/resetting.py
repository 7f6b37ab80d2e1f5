"""What becomes of a connection's session between two holders, and what keeps it with one."""

from __future__ import annotations

import abc
from collections.abc import Callable, Collection
from typing import Any, Generic, TypeVar

from ..options import DiscardAll
from ..pool.counters import StateKind
from .connection import PooledConnection
from .session import traces
from .session.changes import ANY, CURSORS, IDENTITY
from .session.questions import HAS_ADVISORY_LOCK, settings_set_back
from .session.state import ENCODING, RECORDED, SETTING, reset_settings, reset_statement

#: The kind of what only the server's report tells of.
_SETTING: tuple[StateKind, ...] = ("setting",)

C = TypeVar("C", bound=PooledConnection)


class ResettingDriver(abc.ABC, Generic[C]):
    """A part of the drivers: puts sessions back in order, and asks the server what is left in them."""

    _configure: Callable[[Any], object]
    _discard_all: DiscardAll

    def reset(self, connection: C) -> bool:
        """Put back everything that the holder may have changed; False if the connection is beyond that.

        ``session/state.py`` has the list.
        """
        if self._is_in_use(connection):
            return self._give_up(connection)
        connection.close_cursors()
        if not self._end_transaction(connection):
            return self._give_up(connection)
        if (recorder := traces.recorder) is not None:
            self._settle_locks(connection)
            recorder.end_loan(connection.session)
        changes = connection.changes()
        if changes & ENCODING:
            return False
        is_renewed = connection.restore()
        if changes or is_renewed or self._discard_all is True:
            self._clean(connection, changes, is_renewed)
            if self.finds_server_lost(connection):
                return False
        connection.forget_news()
        return self._is_as_opened(connection)

    def _give_up(self, connection: C) -> bool:
        """Leave a connection as it is, with which all that was made in its session will end; return False."""
        if (recorder := traces.recorder) is not None:
            recorder.forget(connection.session)
        return False

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
    def _transaction_status(self, connection: C) -> int:
        """Return libpq's PQTransactionStatus of an open connection."""

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
    def finds_server_lost(self, connection: C) -> bool:
        """Return whether the server of a clean connection has become a standby, or read only; it may be asked."""
