"""Statements of many kinds that leave something in the session are noticed, and the next holder gets none of it."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from django.db import Error, transaction

from django_geventpool.errors import SessionStateError
from tests.support.database import Database
from tests.support.tasks import Task

from .conftest import MODES, MakeDatabase

#: What the session has, as one text.
LOOK = """
select row(
    current_setting('work_mem'), current_setting('search_path'), coalesce(current_setting('app.user', true), ''),
    current_setting('timezone'),
    (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()),
    (select count(*) from pg_class where relnamespace = pg_my_temp_schema()),
    (select count(*) from pg_proc where pronamespace = pg_my_temp_schema()),
    (select count(*) from pg_type where typnamespace = pg_my_temp_schema()),
    (select count(*) from pg_listening_channels()),
    (select count(*) from pg_prepared_statements where from_sql),
    (select count(*) from pg_cursors where is_holdable)
)::text
"""
SET = "set work_mem = '77MB'"

#: Texts that are executed one after the other, after which something is left.
LEAVING = {
    "quotes without blanks": ["set\"work_mem\"='77MB'"],
    "a comment that a carriage return ends": ["-- why\rset work_mem = '77MB'"],
    "a schema called default": ['set search_path = "default"'],
    "pg_settings in a WITH statement": [
        "with x as (select 1) update pg_settings set setting = '77MB' where name = 'work_mem'"
    ],
    "explain analyse": ["explain analyse select pg_advisory_lock(4711)"],
    "explain that makes a table": ["explain (analyze) create temp table kept as select 1 as n"],
    "into pg_temp": ["select 1 as n into pg_temp.kept"],
    "into, a comment": ["select 1 as n into/**/temp kept"],
    "a function in pg_temp": ["create function pg_temp.kept() returns int language sql as 'select 1'"],
    "a type in pg_temp": ["create type pg_temp.kept as enum ('a')"],
    "a table with another name": [
        "create temp table kept ()",
        "alter table kept rename to other",
        "drop table if exists kept",
    ],
    "a time zone by a function": ["select set_config('TimeZone', 'Asia/Tokyo', false)"],
    "a statement called all": ['prepare "all" as select 1', "prepare one as select 1", 'deallocate "all"'],
    "a cursor called all": [
        'declare "all" cursor with hold for select 1',
        "declare one cursor with hold for select 1",
        'close "all"',
    ],
    "set again after a reset that was committed by a text": [SET, "begin", "reset work_mem", "commit", SET],
    "made again after a drop": [
        "create temp table kept ()",
        "begin",
        "drop table kept",
        "create temp table kept ()",
        "commit",
    ],
    "set beside a statement that fails": [SET, "set no_such_setting = 1"],
    "set again in a transaction after a reset": ["begin", "reset work_mem", SET, "commit"],
}


def run(database: Database, texts: list[str]) -> None:
    """Execute texts, each by a cursor of its own; some may fail."""
    for text in texts:
        with database.connection.cursor() as cursor:
            try:
                cursor.execute(text)
            except Error:
                assert "no_such" in text


def look(database: Database) -> Any:
    return database.fetch(LOOK)[0][0]


def next_look(database: Database) -> Any:
    """Return what the session of the next holder has."""
    return Task(database.answer, LOOK).result()[0][0]


def assert_is_noticed(database: Database, leave: Callable[[], object], *, is_held: bool) -> None:
    """Check that what is left stays with its holder, and doesn't reach the next one."""
    clean = next_look(database)
    leave()
    assert database.stats().in_use == int(is_held)
    assert look(database) != clean, "nothing was left, and nothing is tested"
    with transaction.atomic(using=database.alias):
        assert look(database) != clean
    assert look(database) != clean
    database.give_back()
    assert next_look(database) == clean
    assert database.stats().in_use == 0


@MODES
@pytest.mark.parametrize("name", LEAVING)
def test_what_is_left_is_noticed(make_database: MakeDatabase, mode: str, name: str) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode)
    assert_is_noticed(database, lambda: run(database, LEAVING[name]), is_held=True)


@MODES
def test_what_a_query_on_a_server_side_cursor_leaves_is_noticed(make_database: MakeDatabase, mode: str) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode)

    def lock() -> None:
        with database.connection.chunked_cursor() as cursor:
            cursor.execute("select pg_advisory_lock(4712)")
            assert len(cursor.fetchall()) == 1

    assert_is_noticed(database, lock, is_held=True)


def test_a_query_on_a_server_side_cursor_can_be_refused(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, SESSION_STATE="raise")
    with database.connection.chunked_cursor() as cursor, pytest.raises(SessionStateError):
        cursor.execute("select pg_advisory_lock(4713)")
    assert look(database) == next_look(make_database(MAX_CONNS=1))


def test_what_a_named_cursor_leaves_is_noticed(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)

    def lock() -> None:
        raw = database.raw()
        with transaction.atomic(using=database.alias), raw.cursor("mine") as cursor:
            cursor.execute("select pg_advisory_lock(4714)")
            assert len(cursor.fetchall()) == 1

    assert_is_noticed(database, lock, is_held=True)


@pytest.mark.frameworks("threads")  # A green psycopg2 refuses it.
@pytest.mark.driver("psycopg2")
def test_what_a_copy_leaves_is_noticed(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)

    def copy() -> None:
        with database.raw().cursor() as cursor:
            cursor.copy_expert("copy (select set_config('app.user', 'x', false)) to stdout", io.BytesIO())

    assert_is_noticed(database, copy, is_held=True)


@pytest.mark.driver("psycopg")
def test_what_is_set_after_a_reset_in_a_block_of_the_driver_is_noticed(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)

    def leave() -> None:
        run(database, [SET])
        with database.raw().transaction():
            run(database, ["reset work_mem"])
        run(database, [SET])

    assert_is_noticed(database, leave, is_held=True)


def test_what_is_set_after_a_commit_that_fails_is_noticed(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    database.fetch("create temp table kept (n int unique deferrable initially deferred)")

    def leave() -> None:
        run(database, [SET])
        with pytest.raises(Error), transaction.atomic(using=database.alias):
            run(database, ["reset work_mem", "insert into kept values (1), (1)"])

    leave()
    assert database.fetch("show work_mem") == [("77MB",)]
    with transaction.atomic(using=database.alias):
        run(database, ["select 1"])
    database.give_back()
    assert Task(database.answer, "show work_mem").result() != [("77MB",)]


@pytest.mark.parametrize(
    "texts",
    [
        ["set no_such_setting = 1"],
        ["create temp table kept (n no_such_type)"],
        ["set names 'UTF8'"],
        ["set role 'none'"],
        [SET, "begin", "reset work_mem", "commit"],
        [SET, "begin; reset work_mem; end"],
        ["create temp view kept as select pg_try_advisory_lock(4715)", "drop view kept"],
    ],
)
def test_what_leaves_nothing_keeps_no_connection(make_database: MakeDatabase, texts: list[str]) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE="transaction")
    clean = next_look(database)
    run(database, texts)
    assert database.stats().in_use == 0
    assert look(database) == clean


def test_what_a_request_leaves_ends_with_it(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE="transaction", settings={"CONN_MAX_AGE": None})
    clean = next_look(database)
    run(database, [SET])
    assert database.stats().in_use == 1
    database.connection.close_if_unusable_or_obsolete()
    assert database.stats().in_use == 0
    assert look(database) == clean


@pytest.mark.driver("psycopg2")
def test_an_error_of_the_driver_says_nothing_of_what_the_server_has_done(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    clean = next_look(database)
    with database.raw().cursor() as cursor, pytest.raises(database.connection.Database.Error):
        cursor.execute(f"{SET}; copy (select 1) to stdout")
    database.give_back()
    assert next_look(database) == clean


@pytest.mark.driver("psycopg")
def test_nor_does_an_error_of_a_row_factory(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)

    def fail(_cursor: Any) -> Any:
        raise database.connection.Database.ProgrammingError("these rows are not for me")

    def leave() -> None:
        with database.raw().cursor(row_factory=fail) as cursor, pytest.raises(Exception, match="not for me"):
            cursor.execute("select set_config('app.user', 'x', false)")

    assert_is_noticed(database, leave, is_held=True)


def test_nor_does_a_procedure_that_commits_and_fails(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    name = f"commit_and_fail_{database.role}"
    database.server.query(
        f"create procedure {name}(text) language plpgsql as $p$ begin commit; raise exception 'no_such'; end $p$"
    )
    try:
        assert_is_noticed(
            database, lambda: run(database, [f"call {name}(set_config('app.user', 'no_such', false))"]), is_held=True
        )
    finally:
        database.server.query(f"drop procedure {name}")


@pytest.mark.driver("psycopg2")
@MODES
def test_another_encoding_of_psycopg2_reaches_nobody(make_database: MakeDatabase, mode: str) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode)
    run(database, [SET])
    database.raw().set_client_encoding("LATIN1")
    database.give_back()
    for _ in range(2):
        assert Task(database.answer, "select '\u20ac', current_setting('client_encoding')").result() == [
            ("\u20ac", "UTF8")
        ]


@pytest.mark.parametrize(
    "texts", [["set default_transaction_read_only = on"], [SET, "set default_transaction_read_only = on"]]
)
def test_what_was_put_back_keeps_no_connection_of_the_next_holder(
    make_database: MakeDatabase, texts: list[str]
) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE="transaction")
    for _ in range(2):
        run(database, texts)
        assert database.stats().in_use == 1
        database.give_back()
        database.fetch("select 1")
        assert database.stats().in_use == 0
