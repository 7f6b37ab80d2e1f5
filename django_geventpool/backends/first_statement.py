"""The first statement on a connection that was taken: if it can't reach the server, it is sent on another one.

The server may end a connection (a time limit, a restart) between the look that the pool takes when it lends it and the
first statement, which may come much later. A statement that is known not to have begun can be sent again.
"""

from __future__ import annotations

import time
from typing import Any

from django.db import DatabaseError
from django.db.backends.postgresql.base import CursorDebugWrapper
from django.db.backends.utils import CursorWrapper

from .cursors import TrackedCursor, TrackedDebugCursor
from .pool_mode import PoolModeMixin

#: How long after the pool's own look another one is worthwhile, in seconds.
_LOOK_AFTER = 0.001


class FirstStatementMixin(PoolModeMixin):
    """A mixin that replaces a connection which is lost before its first statement has begun."""

    def create_cursor(self, name: str | None = None) -> Any:
        """Make a cursor of the driver's, which does not yet count as using the connection."""
        connection = self._adapter.unused_connection
        unused_since = None if connection is None else connection.unused_since
        cursor = super().create_cursor(name)
        if unused_since is not None:
            connection.unused_since = unused_since
        return cursor

    def make_cursor(self, cursor: Any) -> Any:
        """Wrap the driver's cursor."""
        if self._adapter.unused_connection is None:
            return super().make_cursor(cursor)
        return FirstTrackedCursor(cursor, self) if self._per_transaction else FirstCursor(cursor, self)

    def make_debug_cursor(self, cursor: Any) -> Any:
        """Wrap the driver's cursor, and log what it executes."""
        if self._adapter.unused_connection is None:
            return super().make_debug_cursor(cursor)
        return FirstTrackedDebugCursor(cursor, self) if self._per_transaction else FirstDebugCursor(cursor, self)

    def begin_to_use(self) -> tuple[Any, bool]:
        """Count the connection as used from now on.

        :return: the connection, if nobody had used it since it was taken, else None; and whether it is lost already.
        """
        adapter = self._adapter
        if adapter.unused_connection is None:
            return None, False
        adapter.unused_connection = None
        connection = adapter.connection  # By now, it may have been taken from this wrapper.
        unused_since = None if connection is None else connection.unused_since
        if unused_since is None:
            return None, False
        connection.unused_since = None
        age = time.monotonic() - unused_since
        driver = adapter.driver
        if age < _LOOK_AFTER or driver.is_alive(connection):
            return connection, False
        return connection, not driver.is_in_transaction(connection)

    def has_not_begun(self, connection: Any, error: DatabaseError) -> bool:
        """Return whether a statement failed because the connection was lost before the server has begun it."""
        return error.__cause__ is not None and self._adapter.driver.has_not_begun(connection, error.__cause__)


class _FirstStatement(CursorWrapper):
    db: Any

    def _execute(self, sql: Any, params: Any, *ignored: Any) -> Any:
        connection, is_lost = self.db.begin_to_use()
        if is_lost:
            self._replace()
        elif connection is not None:
            had_errors = self.db.errors_occurred
            try:
                return super()._execute(sql, params, *ignored)  # type: ignore[misc]
            except DatabaseError as error:
                if not self.db.has_not_begun(connection, error):
                    raise
            self.db.errors_occurred = had_errors
            self._replace()
        return super()._execute(sql, params, *ignored)  # type: ignore[misc]

    def _replace(self) -> None:
        self.db.replace_connection()
        with self.db.wrap_database_errors:
            self.cursor = self.db.create_cursor(getattr(self.cursor, "name", None))


class FirstCursor(_FirstStatement):
    """Django's usual cursor."""


class FirstDebugCursor(_FirstStatement, CursorDebugWrapper):
    """Django's cursor that logs queries."""


class FirstTrackedCursor(_FirstStatement, TrackedCursor):
    """Django's usual cursor, for POOL_MODE "transaction"."""


class FirstTrackedDebugCursor(_FirstStatement, TrackedDebugCursor):
    """The same, which logs queries."""
