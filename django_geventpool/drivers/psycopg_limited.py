"""psycopg 3's cursors, of whatever class, whose statements a task's time limits end (``statement_limit.py``)."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from psycopg import ServerCursor
from psycopg._queries import PostgresQuery
from psycopg.abc import PQGen, Query
from psycopg.client_cursor import ClientCursorMixin
from psycopg.pq.abc import PGresult

from .errors import Suppress
from .statement_limit import BEGINNING, StatementLimit

if TYPE_CHECKING:
    from psycopg import Cursor

    _Cursor = Cursor[Any]
else:
    _Cursor = object

#: How many derived cursor classes are kept.
_CLASSES = 1000


class _LimitedCursor(_Cursor):
    """A mixin for a cursor class, before it: sets the timeout before a statement, nearly always in the same message."""

    __slots__ = ()

    def _start_query(self, query: Query | None = None) -> PQGen[None]:
        _limit_of(self).drops_result = False
        _begin(self)
        yield from super()._start_query(query)

    def _maybe_prepare_gen(self, pgq: PostgresQuery, **options: Any) -> PQGen[None]:
        if not self._goes_as_text(pgq, options.get("prepare"), options.get("binary")):
            yield from _set_apart(self, pgq.query)
        yield from super()._maybe_prepare_gen(pgq, **options)

    def _execute_send(self, query: PostgresQuery, *, force_extended: bool = False, binary: bool | None = None) -> None:
        before = ""
        if not force_extended and self._goes_as_text(query, None, binary):
            before = _sql_before(self, query.query)
        if not before:
            super()._execute_send(query, force_extended=force_extended, binary=binary)
            return
        sql = query.query
        query.query = before.encode() + sql
        try:
            super()._execute_send(query, binary=binary)
        finally:
            query.query = sql
        _limit_of(self).drops_result = True

    def _goes_as_text(self, query: PostgresQuery, prepare: bool | None, binary: bool | None) -> bool:
        """Return whether a query is sent in a message that may have several statements."""
        if self._conn._pipeline or (self.format if binary is None else binary):  # noqa: SLF001
            return False
        if isinstance(self, ClientCursorMixin):
            return True
        return not prepare and not query.params and self._conn.prepare_threshold is None

    def _set_results(self, results: list[PGresult]) -> None:
        limit = _limit_of(self)
        if limit.drops_result and len(results) > 1:
            results = results[1:]
        limit.drops_result = False
        super()._set_results(results)


class _LimitedServerCursor(_Cursor):
    """The same for a cursor on the server: the timeout is set before it is declared, in a transaction."""

    __slots__ = ()

    def _start_query(self, query: Query | None = None) -> PQGen[None]:
        _begin(self)
        yield from super()._start_query(query)
        yield from _set_apart(self, b"SELECT")


def _limit_of(cursor: Cursor[Any]) -> StatementLimit:
    limit: StatementLimit = cursor.connection.statement_limit  # type: ignore[attr-defined]  # It is one of the pool's.
    return limit


def _begin(cursor: Cursor[Any]) -> None:
    ended = cursor.connection.session.ended  # type: ignore[attr-defined]
    _limit_of(cursor).begin(cursor._pgconn.transaction_status, ended)  # noqa: SLF001


def _sql_before(cursor: Cursor[Any], query: bytes) -> str:
    # The kind of a statement shows at its beginning, in ASCII.
    beginning = query[:BEGINNING].decode("latin-1")
    return _limit_of(cursor).sql_before(beginning, cursor._pgconn.transaction_status)  # noqa: SLF001


def _set_apart(cursor: Cursor[Any], query: bytes) -> PQGen[None]:
    """Set the timeout before a query in a round trip of its own; outside of transactions it can't be."""
    if not cursor.connection.autocommit or cursor._pgconn.transaction_status:  # noqa: SLF001
        before = _sql_before(cursor, query)
        if before:
            yield from cursor.connection._exec_command(before.encode())  # noqa: SLF001


def limit(cursor: Any) -> None:
    """Make a cursor set the timeout before its statements."""
    if isinstance(cursor, _LimitedCursor | _LimitedServerCursor):
        return
    with Suppress(TypeError):  # Of a class that lays its objects out in its own way.
        cursor.__class__ = _limited(type(cursor))  # type: ignore[arg-type]


@functools.lru_cache(_CLASSES)
def _limited(kind: type) -> type:
    limited = _LimitedServerCursor if issubclass(kind, ServerCursor) else _LimitedCursor
    return type(kind.__name__, (limited, kind), {"__module__": kind.__module__, "__slots__": ()})
