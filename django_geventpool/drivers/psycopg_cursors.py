"""How the pool's psycopg 3 connections see what their cursors execute, of whatever class they are."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from psycopg import sql
from psycopg._preparing import Key, Prepare, PrepareManager
from psycopg._queries import PostgresQuery

from .errors import Suppress
from .session_state import SessionState
from .session_statements import Operation

if TYPE_CHECKING:
    from psycopg import Cursor

    _Cursor = Cursor[Any]
else:
    _Cursor = object

#: How many derived cursor classes are kept.
_CLASSES = 1000
NOTHING: tuple[Operation, ...] = ()


class WatchedStatements(PrepareManager):
    """psycopg's record of prepared statements, which sees each query, whichever cursor it is of."""

    def __init__(self, session: SessionState) -> None:
        super().__init__()
        self._session = session
        #: What is to be confirmed once the query that was sent last has succeeded.
        self.undoing = NOTHING

    def maybe_add_to_cache(self, query: PostgresQuery, prep: Prepare, name: bytes) -> Key | None:
        """Record what a query may do that was sent just now.

        If an exception comes in between, the connection is left in the middle of the query, and can't be used again.
        """
        # Without the parameters, which some kinds of cursors put into the query.
        self.undoing = self._session.note_sent(getattr(query, "template", query.query))
        return super().maybe_add_to_cache(query, prep, name)

    def clear(self) -> bool:
        """Forget all prepared statements, as psycopg does at each of its rollbacks."""
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
        if isinstance(query, sql.Composable):
            query = query.as_bytes(self)
        if isinstance(query, (str, bytes)):
            self.connection.session.check(query)  # type: ignore[attr-defined]  # It is one of the pool's.


def watch(cursor: Any) -> None:
    """Make a cursor show what it is about to execute."""
    with Suppress(TypeError):  # Of a class that lays its objects out in its own way: what it does is seen later.
        cursor.__class__ = _watched(type(cursor))  # type: ignore[arg-type]


@functools.lru_cache(_CLASSES)
def _watched(kind: type) -> type:
    return type(kind.__name__, (_WatchedCursor, kind), {"__module__": kind.__module__, "__slots__": ()})
