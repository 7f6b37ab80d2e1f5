"""A COPY of psycopg2 that its file ends in the middle: the server is told to stop, and the slot comes back at once.

In a green process, psycopg2 refuses a COPY.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.database import Database
from tests.support.waiting import eventually

from .conftest import MODES, MakeDatabase

pytestmark = [pytest.mark.frameworks("threads"), pytest.mark.driver("psycopg2")]

#: More than the server can send in the time that a test takes.
ENDLESS = "(select generate_series(1, 1000000000))"


class Full(io.StringIO):
    """A file that takes no more."""

    def write(self, _text: str) -> int:
        raise OSError("no space left")


class Torn(io.StringIO):
    """A file that can't be read."""

    def read(self, _size: int | None = None) -> str:
        raise OSError("bad sector")


def copy_out(cursor: Any) -> None:
    cursor.copy_expert(f"copy {ENDLESS} to stdout", Full())


def copy_table_out(cursor: Any) -> None:
    cursor.copy_to(Full(), "pg_class", columns=["relname"])


def copy_in(cursor: Any) -> None:
    cursor.execute("create temp table kept (n int)")
    cursor.copy_expert("copy kept from stdin", Torn())


def copy_table_in(cursor: Any) -> None:
    cursor.execute("create temp table kept (n int)")
    cursor.copy_from(Torn(), "kept")


COPIES = pytest.mark.parametrize("copy", [copy_out, copy_table_out, copy_in, copy_table_in])


@MODES
@COPIES
def test_the_slot_comes_back_at_once(make_database: MakeDatabase, mode: str, copy: Callable[[Any], None]) -> None:
    database = make_database(MAX_CONNS=1, role_limit=1, POOL_MODE=mode, CONN_WAIT_TIMEOUT=4)
    with database.connection.cursor() as cursor, pytest.raises(Exception, match=r"no space left|bad sector"):
        copy(cursor)
    database.give_back()
    assert database.fetch("select 1") == [(1,)], "closing takes up to 5 s if the server isn't told"
    database.give_back()
    eventually(lambda: is_quiet(database), "nothing is left")


def is_quiet(database: Database) -> bool:
    stats = database.stats()
    return (stats.in_use, stats.closing) == (0, 0) and len(database.running("copy")) == 0


@pytest.mark.parametrize("copy", [copy_table_out, copy_in, copy_table_in])
def test_its_holder_may_go_on(make_database: MakeDatabase, copy: Callable[[Any], None]) -> None:
    database = make_database(MAX_CONNS=1)
    pid = database.pid()
    with database.connection.cursor() as cursor:
        with pytest.raises(Exception, match=r"no space left|bad sector"):
            copy(cursor)
        cursor.execute("select pg_backend_pid()")
        assert cursor.fetchone() == (pid,)
