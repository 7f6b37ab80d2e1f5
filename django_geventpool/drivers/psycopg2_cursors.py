"""The cursors of the pool's psycopg2 connections: whatever their class, what they execute is recorded."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import psycopg2
from psycopg2 import extensions, sql

from .session.changes import CURSORS
from .session.state import NOTHING, Noted, SessionState
from .statement_limit import BEGINNING, without_limit

if TYPE_CHECKING:

    class _Cursor(extensions.cursor):
        connection: Any

else:
    _Cursor = object

#: How many derived cursor classes are kept.
_CLASSES = 1000


class WatchedCursor(_Cursor):
    """A mixin for a cursor class, before it: tells the connection what SQL is executed."""

    __slots__ = ()

    def execute(self, query: Any, *args: Any, **kwargs: Any) -> None:
        """Execute SQL."""
        connection = self.connection
        session = connection.session
        session.uses = uses = session.uses + 1
        noted = session.note(query if type(query) is str else _text_of(query, self))
        if session.undone and connection.get_transaction_status() == extensions.TRANSACTION_STATUS_INERROR:
            session.note_rollback()  # A fetch or a COPY has failed.
        if connection.statement_limit is not None:
            query = self._limited(query)
        try:
            super().execute(query, *args, **kwargs)
        except psycopg2.Error as error:
            # Without the server's code it is the driver's own, of something that the server may have done.
            is_whole = error.pgcode is not None and session.uses == uses
            session.note_failure(noted if is_whole else NOTHING)
            raise
        if noted is not NOTHING:
            self._confirm(session, noted)

    def executemany(self, query: Any, *args: Any, **kwargs: Any) -> None:
        """Execute SQL once for each row of parameters."""
        session = self.connection.session
        session.uses += 1
        noted = session.note(_text_of(query, self))
        if self.connection.statement_limit is not None:
            query = self._limited(query)
        try:
            super().executemany(query, *args, **kwargs)
        except psycopg2.Error:
            session.note_failure()  # Some may have been executed.
            raise
        if noted is not NOTHING:
            self._confirm(session, noted)

    def callproc(self, procname: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a function of the server."""
        session = self.connection.session
        session.uses += 1
        noted = session.note(f"select {procname}()")
        try:
            result = super().callproc(procname, *args, **kwargs)
        except psycopg2.Error:
            session.note_failure(noted)
            raise
        if noted is not NOTHING:
            self._confirm(session, noted)
        return result

    def copy_expert(self, sql: Any, *args: Any, **kwargs: Any) -> None:
        """Execute a COPY."""
        self.connection.session.note(_text_of(sql, self))
        with self._copying():
            super().copy_expert(sql, *args, **kwargs)

    def copy_from(self, *args: Any, **kwargs: Any) -> None:
        """Copy a file into a table."""
        with self._copying():
            super().copy_from(*args, **kwargs)

    def copy_to(self, *args: Any, **kwargs: Any) -> None:
        """Copy a table into a file."""
        with self._copying():
            super().copy_to(*args, **kwargs)

    @contextlib.contextmanager
    def _copying(self) -> Iterator[None]:
        connection = self.connection
        connection.session.uses += 1
        try:
            yield
        except BaseException as error:
            connection.leave_copy()
            if isinstance(error, psycopg2.Error):
                connection.session.note_failure()
            raise

    @property
    def query(self) -> bytes | None:
        """What was sent last, without what limits its time."""
        return without_limit(super().query)

    def _limited(self, query: Any) -> Any:
        """Return SQL that limits its own time (``statement_limit.py``).

        That of a cursor on the server is declared by psycopg2, so its limit takes a round trip of its own before.
        """
        connection, text = self.connection, _text_of(query, self)
        status = connection.get_transaction_status()
        connection.statement_limit.begin(status, connection.session.ended)
        beginning = text[:BEGINNING]
        before = connection.statement_limit.sql_before(
            beginning if isinstance(beginning, str) else beginning.decode("latin-1"), status
        )
        if self.name is None:
            return query if not before else before + text if isinstance(text, str) else before.encode() + text
        if before and (status or not connection.autocommit):
            connection.session.uses += 1
            with extensions.cursor(connection) as cursor:
                cursor.execute(before)
        return query

    def _confirm(self, session: SessionState, noted: Noted) -> None:
        status = self.connection.get_transaction_status()
        session.confirm(noted, is_in_transaction=status != extensions.TRANSACTION_STATUS_IDLE)


class WatchedServerCursor(WatchedCursor):
    """The same for a cursor on the server: once the server has lost it, it can be closed without the server."""

    __slots__ = ()
    #: Whether the server doesn't have it, or the pool will close it there.
    is_gone: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_gone = False

    @property
    def closed(self) -> bool:
        """Whether the cursor is closed."""
        return self.is_gone or bool(super().closed)

    def execute(self, query: Any, *args: Any, **kwargs: Any) -> None:
        """Open the cursor on the server with a query."""
        self._use()
        try:
            super().execute(query, *args, **kwargs)
        except psycopg2.Error as error:
            # Else psycopg2 would ask the server to close it, which fails and leaves it open here.
            self.is_gone = error.pgcode is not None
            raise

    def close(self) -> None:
        """Close the cursor, on the server too."""
        if self.closed:
            return
        connection = self.connection
        if connection.get_transaction_status() == extensions.TRANSACTION_STATUS_INERROR:
            connection.session.changes |= CURSORS  # psycopg2 will close it on its own side only.
        super().close()

    def _use(self) -> None:
        """Record a use of the connection, for the server may be asked for rows."""
        if self.is_gone:
            raise psycopg2.InterfaceError("cursor already closed")
        self.connection.session.uses += 1

    def fetchone(self) -> Any:
        """Fetch a row."""
        self._use()
        return super().fetchone()

    def fetchmany(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Fetch some rows."""
        self._use()
        return super().fetchmany(*args, **kwargs)

    def fetchall(self) -> list[Any]:
        """Fetch all rows that are left."""
        self._use()
        return super().fetchall()

    def scroll(self, *args: Any, **kwargs: Any) -> None:
        """Move in the result."""
        self._use()
        super().scroll(*args, **kwargs)

    def __next__(self) -> Any:
        self._use()
        return super().__next__()


CursorClass = type[extensions.cursor]


@functools.lru_cache(_CLASSES)
def watched(factory: CursorClass) -> CursorClass:
    """Derive a cursor class that tells what it executes."""
    return type(factory.__name__, (WatchedCursor, factory), {"__slots__": ()})


@functools.lru_cache(_CLASSES)
def watched_on_server(factory: CursorClass) -> CursorClass:
    """Derive a cursor class, for cursors on the server, that tells what it executes."""
    return type(factory.__name__, (WatchedServerCursor, factory), {"__slots__": ("is_gone",)})


def _text_of(query: Any, cursor: extensions.cursor) -> str | bytes:
    if isinstance(query, (str, bytes)):
        return query
    if isinstance(query, sql.Composable):
        text: str = query.as_string(cursor)
        return text
    return ""  # psycopg2 will say what is wrong with it.
