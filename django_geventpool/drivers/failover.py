"""Fail-over that cuts no connection: those to a server that has become a standby are not lent again.

PostgreSQL 14 and later report what this needs with each change, so that looking takes no round trip. An older server is
asked, once it has refused a write.
"""

from __future__ import annotations

from .connection import PooledConnection, new_serial

#: What a server reports: that it is a standby, and that it, or a session, is to be read only.
STANDBY, _READ_ONLY = "in_hot_standby", "default_transaction_read_only"
_STANDBY_QUERY = "SELECT 1 WHERE pg_is_in_recovery()"
#: Has a row if it is read only by its configuration, not by a SET of the holder's.
_READ_ONLY_QUERY = f"SELECT 1 FROM pg_settings WHERE name = '{_READ_ONLY}' AND reset_val = 'on'"


class FailoverWatch:
    """What a pool's connections tell of a fail-over.

    A standby may be meant, as a replica to read from. So what counts is what a connection has reported when it was
    opened, and, once a write was refused, whether new ones get to a server that takes writes.
    """

    def __init__(self) -> None:
        #: Connections with a lower serial number are checked before they are lent.
        self.trust_from = 0
        #: Of these, those with a lower number than this are not lent, whatever they report: a server reports its
        #: settings only with the next query. The others are lent if they report that their server is no standby.
        self._distrust_before = 0

    def opened(self, connection: PooledConnection) -> None:
        """Record whether a new connection's server is a standby, or read only."""
        connection.was_standby = _is_on(connection, STANDBY)
        connection.was_read_only = _is_on(connection, _READ_ONLY)
        if self.trust_from and (connection.was_read_only or _is_standby(connection)):
            self.trust_from = self._distrust_before = 0  # The older ones are no worse.

    def examine(self, connection: PooledConnection) -> bool:
        """Return whether a server that has refused a write is a standby, or has been made read only.

        :raises Exception: the driver's, if the server must be asked, and doesn't answer.
        """
        connection.was_refused_write = False
        if _is_standby(connection):
            self.trust_from = new_serial()
            return True
        if connection.was_read_only is False and _is_on(connection, _READ_ONLY) and _ask(connection, _READ_ONLY_QUERY):
            self.trust_from = self._distrust_before = new_serial()
            return True
        return False

    def is_doubtful(self, connection: PooledConnection) -> bool:
        """Return whether an idle connection that is older than a refused write may be to a server that takes none."""
        return connection.serial < self._distrust_before or _is_on(connection, STANDBY) is not False


def _is_standby(connection: PooledConnection) -> bool:
    reported = _is_on(connection, STANDBY)
    return _ask(connection, _STANDBY_QUERY) if reported is None else reported


def _ask(connection: PooledConnection, question: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(question)
        return cursor.fetchone() is not None  # Rows may be of any class, as the user has set.


def _is_on(connection: PooledConnection, name: str) -> bool | None:
    """Return whether a parameter was on when the server reported it last; None if it doesn't report it."""
    value = connection.reported(name)
    return None if value is None else value == "on"
