"""A fail-over that cuts no connection: those to a server that has become a standby are not lent again.

PostgreSQL 14 and later report what this needs with each change, so that looking takes no round trip. An older one is
asked, once somebody has met a server that takes no writes.
"""

from __future__ import annotations

from .connection import PooledConnection, new_serial

#: What a server reports: that it is a standby, and that it, or a session, is to be read only.
_STANDBY, _READ_ONLY = "in_hot_standby", "default_transaction_read_only"
_IS_STANDBY_QUERY = "SELECT pg_is_in_recovery()"
#: And not by a SET of the holder's own.
_IS_READ_ONLY_QUERY = f"SELECT reset_val = 'on' FROM pg_settings WHERE name = '{_READ_ONLY}'"


class FailoverWatch:
    """What a pool's connections tell of a fail-over.

    A standby may be meant, as a replica to read from. So what counts is what a connection has reported when it was
    opened, and, from a write in vain on, whether new ones get to a server that takes writes.
    """

    def __init__(self) -> None:
        #: Connections that are older than these are not trusted: unless they report that their server is no standby,
        #: or whatever they report, as a server tells of its settings with the next query only. 0 to trust them all.
        self._doubt_before = 0
        self._distrust_before = 0

    def opened(self, connection: PooledConnection) -> None:
        """Note what a new connection's server is."""
        connection.was_standby = _is_on(connection, _STANDBY)
        connection.was_read_only = _is_on(connection, _READ_ONLY)
        if (self._doubt_before or self._distrust_before) and (connection.was_read_only or _is_standby(connection)):
            self._doubt_before = self._distrust_before = 0  # The others are no worse.

    def is_lost(self, connection: PooledConnection) -> bool:
        """Tell whether a connection that comes back, clean, is to a server that has become a standby, or read only.

        :raises Exception: the driver's, if the server must be asked, and doesn't answer.
        """
        was_refused, connection.was_refused_write = connection.was_refused_write, False
        if not was_refused:
            return _has_become(connection, _STANDBY)
        if _is_standby(connection):
            self._doubt_before = new_serial()
            return True
        if _has_become(connection, _READ_ONLY) and _ask(connection, _IS_READ_ONLY_QUERY):
            self._distrust_before = new_serial()
            return True
        return False

    def is_doubtful(self, connection: PooledConnection) -> bool:
        """Tell whether an idle connection is older than a write in vain, and not known to be better."""
        serial = connection.serial
        return serial < self._distrust_before or (
            serial < self._doubt_before and _is_on(connection, _STANDBY) is not False
        )


def _is_standby(connection: PooledConnection) -> bool:
    reported = _is_on(connection, _STANDBY)
    return _ask(connection, _IS_STANDBY_QUERY) if reported is None else reported


def _ask(connection: PooledConnection, question: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(question)
        return bool(cursor.fetchone()[0])


def _is_on(connection: PooledConnection, name: str) -> bool | None:
    """Return what the server has reported last; None if it doesn't."""
    value = connection.reported(name)
    return None if value is None else value == "on"


def _has_become(connection: PooledConnection, name: str) -> bool:
    was = connection.was_standby if name == _STANDBY else connection.was_read_only
    return was is False and _is_on(connection, name) is True
