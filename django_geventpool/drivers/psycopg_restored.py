"""What holders can change on a psycopg 3 connection object, and putting that back."""

from __future__ import annotations

import operator
from typing import Any

import psycopg
from psycopg.adapt import AdaptersMap

from .connection import PooledConnection

#: Returns what can be chosen for a connection, in the order of ``_choose``.
_choices_of = operator.attrgetter(
    "cursor_factory",
    "row_factory",
    "server_cursor_factory",
    "prepare_threshold",
    "prepared_max",
    "pgconn.notice_handler",
    "pgconn.notify_handler",
)


class RestoredConnection(PooledConnection, psycopg.Connection[Any]):
    """A connection of psycopg 3 that is, for each of its holders, what it was when it was ready for use."""

    #: What it had when it was ready for use.
    _opened: tuple[tuple[Any, ...], AdaptersMap]

    def record_as_opened(self) -> None:
        """Record the present state of the connection, in which each holder is to get it."""
        super().record_as_opened()
        self._opened = (_choices_of(self), AdaptersMap(self.adapters))

    def restore(self) -> bool:
        """Put back what was changed on the connection object, without the server; True if anything was."""
        choices, adapters = self._opened
        is_changed = bool(self._notice_handlers or self._notify_handlers)
        if is_changed:
            self._notice_handlers.clear()
            self._notify_handlers.clear()
        if _choices_of(self) != choices:
            is_changed = True
            self._choose(*choices)
        if self.read_only is not None:
            self.read_only = None
        if self.deferrable is not None:
            self.deferrable = None
        if not _are_same(self.adapters, adapters):
            is_changed = True
            self._adapters = AdaptersMap(adapters)
        self.pgconn.untrace()
        return is_changed

    def _choose(
        self,
        cursor_factory: Any,
        row_factory: Any,
        server_cursor_factory: Any,
        prepare_threshold: int | None,
        prepared_max: int | None,
        notice_handler: Any,
        notify_handler: Any,
    ) -> None:
        self.cursor_factory = cursor_factory
        self.row_factory = row_factory
        self.server_cursor_factory = server_cursor_factory
        self.prepare_threshold = prepare_threshold
        self.prepared_max = prepared_max
        self.pgconn.notice_handler = notice_handler
        self.pgconn.notify_handler = notify_handler

    def forget_news(self) -> None:
        """Forget the notifications that were received: they were for the last holder."""
        if backlog := getattr(self, "_notifies_backlog", None):  # New in 3.2.4.
            backlog.clear()

    def forget_prepared_statements(self) -> None:
        """Forget all prepared statements, as the server has at DISCARD ALL."""
        self._prepared.clear()


def _are_same(adapters: AdaptersMap, others: AdaptersMap) -> bool:
    """Return whether two maps, one made from the other, are still the same; they share what nobody has changed."""
    return (
        adapters._loaders == others._loaders  # noqa: SLF001
        and adapters._dumpers == others._dumpers  # noqa: SLF001
        and adapters._dumpers_by_oid == others._dumpers_by_oid  # noqa: SLF001
        and adapters.types._registry is others.types._registry  # noqa: SLF001
    )
