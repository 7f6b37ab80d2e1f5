"""Engines derived from ours that have cursor classes of their own."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction
from django.db.backends.utils import CursorWrapper

from tests.support.derived_engines import Base, engine_of

from .conftest import MakeDatabase


class Foreign(CursorWrapper):
    """A cursor class of an engine."""


class Closing(CursorWrapper):
    closed_by = ""

    def close(self) -> None:
        self.closed_by = "its own method"
        self.cursor.close()


class Slotted:
    """A cursor class whose instances can't be made to report their ends."""

    __slots__ = ("cursor",)

    def __init__(self, cursor: Any, _db: Any) -> None:
        self.cursor = cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cursor, name)

    def __enter__(self) -> Slotted:
        return self

    def __exit__(self, *_error: object) -> None:
        self.cursor.close()


@pytest.mark.parametrize("kind", [Foreign, Closing])
def test_an_engines_own_cursor_keeps_the_connection_while_it_is_open(make_database: MakeDatabase, kind: type) -> None:
    class OwnCursors(Base):  # type: ignore[misc]
        def make_cursor(self, cursor: Any) -> Any:
            return kind(cursor, self)

    database = make_database(MAX_CONNS=1, POOL_MODE="transaction", settings={"ENGINE": engine_of(OwnCursors)})
    cursor = database.connection.cursor()
    assert isinstance(cursor, kind)
    cursor.execute("select pg_backend_pid()")
    with transaction.atomic(using=database.alias):
        database.pid()
    assert database.stats().in_use == 1
    assert cursor.fetchone() is not None
    cursor.close()
    assert database.stats().in_use == 0
    assert getattr(cursor, "closed_by", "its own method") == "its own method"
    database.assert_whole()


def test_a_cursor_that_tells_of_nothing_keeps_the_connection_until_close(make_database: MakeDatabase) -> None:
    class SlottedCursors(Base):  # type: ignore[misc]
        def make_cursor(self, cursor: Any) -> Any:
            return Slotted(cursor, self)

    database = make_database(MAX_CONNS=1, POOL_MODE="transaction", settings={"ENGINE": engine_of(SlottedCursors)})
    cursor = database.connection.cursor()
    cursor.execute("select 1")
    cursor.close()
    assert database.stats().in_use == 1
    database.give_back()
    assert database.stats().in_use == 0
