"""How the pool's psycopg 3 connections see what their cursors execute, of whatever class they are."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from psycopg import ServerCursor, sql
from psycopg._preparing import Key, Prepare, PrepareManager
from psycopg._queries import PostgresQuery

from .errors import Suppress
from .session.state import NOTHING, SessionState

if TYPE_CHECKING:
    from psycopg import Cursor

    _Cursor = Cursor[Any]
else:
    _Cursor = object

#: How many derived cursor classes are kept.
_CLASSES = 1000


class WatchedStatements(PrepareManager):
    """psycopg's record of prepared statements, which sees each query, whichever cursor it is of."""

    def __init__(self, session: SessionState) -> None:
        super().__init__()
        self._session = session
        #: What is left to record of the query that was sent last.
        self.noted = NOTHING

    def maybe_add_to_cache(self, query: PostgresQuery, prep: Prepare, name: bytes) -> Key | None:
        """Record what a query may do that was sent just now.

        If an exception comes in between, the connection is left in the middle of the query, and can't be used again.
        """
        # Without the parameters, which some kinds of cursors put into the query.
        self.noted = self._session.note(getattr(query, "template", query.query), is_sent=True)
        return super().maybe_add_to_cache(query, prep, name)

    def clear(self) -> bool:
        """Forget all prepared statements, as psycopg does at each of its rollbacks."""
        self._session.ended += 1
        self._session.note_rollback()
        return super().clear()


class _WatchedCursor(_Cursor):
    """A mixin for a cursor class, before it: shows what it is about to execute, which the holder may refuse."""

    __slots__ = ()

    def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        """Execute SQL.

        :raises SessionStateError: if it would leave something in the session, and that is refused.
        """
        self._show(query)
        return super().execute(query, *args, **kwargs)

    def executemany(self, query: Any, *args: Any, **kwargs: Any) -> None:
        """Execute SQL once for each row of parameters; the error is the same."""
        self._show(query)
        super().executemany(query, *args, **kwargs)

    def stream(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        """Execute SQL, and fetch row by row; the error is the same."""
        self._show(query)
        return super().stream(query, *args, **kwargs)

    def _show(self, query: Any) -> None:
        if (text := _text_of(query, self)) is not None:
            self.connection.session.check(text)  # type: ignore[attr-defined]  # It is one of the pool's.


class _WatchedServerCursor(_Cursor):
    """The same for a cursor on the server, whose queries psycopg's record of prepared statements doesn't see."""

    __slots__ = ()

    def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        """Open the cursor on the server with a query; the error is the same."""
        if (text := _text_of(query, self)) is not None:
            self.connection.session.note(text)  # type: ignore[attr-defined]
        return super().execute(query, *args, **kwargs)


def _text_of(query: Any, cursor: Cursor[Any]) -> str | bytes | None:
    """Return the text of a query; None of one that psycopg will refuse."""
    if isinstance(query, sql.Composable):
        return query.as_bytes(cursor)
    return query if isinstance(query, (str, bytes)) else None


def watch(cursor: Any) -> None:
    """Make a cursor show what it is about to execute."""
    if isinstance(cursor, _WatchedCursor | _WatchedServerCursor):
        return
    with Suppress(TypeError):  # Of a class that lays its objects out in its own way: what it does is seen later.
        cursor.__class__ = _watched(type(cursor))  # type: ignore[arg-type]


@functools.lru_cache(_CLASSES)
def _watched(kind: type) -> type:
    watched = _WatchedServerCursor if issubclass(kind, ServerCursor) else _WatchedCursor
    return type(kind.__name__, (watched, kind), {"__module__": kind.__module__, "__slots__": ()})
