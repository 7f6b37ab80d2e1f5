"""STATEMENT_TIMEOUT_FROM_TASK: the server's statement_timeout follows from what a task's hard time limit leaves."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError, connections, transaction
from django.db.backends.postgresql.psycopg_any import is_psycopg3

from django_geventpool.pool import time_limits
from django_geventpool.pool.time_limits import TimeLimits
from django_geventpool.utils import pinned
from tests.support.database import Database
from tests.testapp.models import Item

from .conftest import MODES, MakeDatabase, PutPgBouncerBefore

OURS = "select pg_catalog.current_setting('statement_timeout')"
SOURCE = "select source, setting::int from pg_settings where name = 'statement_timeout'"

SetLimit = Callable[..., TimeLimits]


@pytest.fixture
def set_limit(monkeypatch: pytest.MonkeyPatch) -> SetLimit:
    """Return a function that makes what runs here a task with a hard limit, and that began some seconds ago."""

    def set_limit(hard: float, ago: float = 0.0) -> TimeLimits:
        limits = TimeLimits(time.monotonic() - ago, None, hard)
        monkeypatch.setattr(time_limits, "current", lambda: limits)
        return limits

    return set_limit


@pytest.fixture(params=["session", "transaction"])
def database(make_database: MakeDatabase, request: pytest.FixtureRequest) -> Database:
    return make_database(MAX_CONNS=1, STATEMENT_TIMEOUT_FROM_TASK=True, POOL_MODE=request.param)


def timeout(database: Database) -> int:
    """Return the statement_timeout of a statement, in milliseconds."""
    ((_, milliseconds),) = database.fetch(SOURCE)
    return int(milliseconds)


def test_without_limits_nothing_is_set(database: Database) -> None:
    assert timeout(database) == 0


def test_by_default_nothing_is_set(make_database: MakeDatabase, set_limit: SetLimit) -> None:
    set_limit(100)
    assert timeout(make_database()) == 0


def test_a_statement_has_what_is_left(database: Database, set_limit: SetLimit) -> None:
    set_limit(100, ago=40)
    assert 55_000 < timeout(database) <= 59_500
    with transaction.atomic(database.alias):
        assert 55_000 < timeout(database) <= 59_500
        assert 55_000 < timeout(database) <= 59_500


def test_it_is_in_the_same_message_as_the_statement(database: Database, set_limit: SetLimit) -> None:
    set_limit(100)
    message = "select current_query()"
    assert re.fullmatch(rf"SET LOCAL statement_timeout = 99\d+;\n{re.escape(message)}", database.fetch(message)[0][0])
    with transaction.atomic(database.alias):
        assert database.fetch(message)[0][0].startswith("SET LOCAL statement_timeout")
        assert database.fetch(message) == [(message,)]


def test_the_next_holder_never_sees_it(
    database: Database, set_limit: SetLimit, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = database.pid()
    set_limit(100)
    with transaction.atomic(database.alias):
        assert timeout(database)
    assert timeout(database)
    database.give_back()
    monkeypatch.undo()
    assert timeout(database) == 0
    assert database.pid() == pid


def test_the_task_gets_an_error_and_the_connection_stays_whole(database: Database, set_limit: SetLimit) -> None:
    pid = database.pid()
    begun = time.monotonic()
    set_limit(0.5)
    with pytest.raises(OperationalError, match="statement timeout"):
        database.fetch("select pg_sleep(30)")
    assert time.monotonic() < begun + 5
    set_limit(0.5)
    with pytest.raises(OperationalError, match="statement timeout"), transaction.atomic(database.alias):
        database.fetch("select pg_sleep(30)")
    set_limit(100)
    assert database.pid() == pid


def test_a_limit_that_has_passed_counts_no_more(database: Database, set_limit: SetLimit) -> None:
    set_limit(10, ago=11)
    assert timeout(database) == 0


@pytest.mark.parametrize("lower", ["700ms", "2s", "0.5min"])
def test_a_lower_timeout_of_the_role_stays(database: Database, set_limit: SetLimit, lower: str) -> None:
    database.server.query(f"ALTER ROLE {database.role} SET statement_timeout = '{lower}'")
    set_limit(100)
    expected = {"700ms": 700, "2s": 2000, "0.5min": 30_000}[lower]
    assert timeout(database) == expected
    with transaction.atomic(database.alias):
        assert timeout(database) == expected
    set_limit(100, ago=99)
    assert timeout(database) <= 500


def test_a_lower_timeout_of_the_users_own_stays(database: Database, set_limit: SetLimit) -> None:
    set_limit(100)
    with transaction.atomic(database.alias):
        database.fetch("select 1")
        database.fetch("set local statement_timeout = '3s'")
        assert timeout(database) == 3000
    with pinned(database.alias):
        database.fetch("set statement_timeout = '4s'")
        assert timeout(database) == 4000
        database.fetch("reset statement_timeout")


def test_it_is_no_session_state(make_database: MakeDatabase, set_limit: SetLimit) -> None:
    database = make_database(STATEMENT_TIMEOUT_FROM_TASK=True, POOL_MODE="transaction", SESSION_STATE="raise")
    set_limit(100)
    for _ in range(3):
        assert timeout(database)
        assert database.connection.connection is None  # It went back.
    assert database.stats().pinned == {}


def test_it_is_set_again_after_what_may_have_undone_it(database: Database, set_limit: SetLimit) -> None:
    set_limit(100)
    with transaction.atomic(database.alias):
        with transaction.atomic(database.alias):
            assert timeout(database)
            transaction.set_rollback(True, database.alias)
        assert timeout(database)
        with pytest.raises(Exception, match="division by zero"), transaction.atomic(database.alias):
            database.fetch("select 1 / 0")
        assert timeout(database)


def test_it_is_set_again_when_time_has_passed(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = time.monotonic()
    monkeypatch.setattr(time_limits, "current", lambda: TimeLimits(begun, None, 100))
    with transaction.atomic(database.alias):
        first = timeout(database)
        database.fetch("select pg_sleep(0.1)")
        assert timeout(database) == first
        database.fetch("select pg_sleep(1)")
        assert timeout(database) < first - 1000


@pytest.mark.parametrize(
    "statement",
    [
        "vacuum testapp_item",
        "create index concurrently if not exists limited on testapp_item (number)",
        "drop index concurrently if exists limited",
        "checkpoint",
    ],
)
def test_what_can_not_be_in_a_transaction_works(
    make_database: MakeDatabase, set_limit: SetLimit, schema: None, statement: str
) -> None:
    database = make_database(STATEMENT_TIMEOUT_FROM_TASK=True)
    database.server.query(f"ALTER ROLE {database.role} SUPERUSER")
    set_limit(100)
    database.fetch(statement)


def test_the_orm_works(database: Database, set_limit: SetLimit, schema: None) -> None:
    set_limit(100)
    items = Item.objects.using(database.alias)
    made = items.create(name="limited", number=1)
    items.bulk_create([Item(name="limited", number=number) for number in range(2, 5)])
    assert items.filter(name="limited").update(number=7) == 4
    assert [item.number for item in items.filter(name="limited").iterator(2)] == [7] * 4
    with transaction.atomic(database.alias):
        assert [item.number for item in items.filter(name="limited").iterator(2)] == [7] * 4
        assert items.select_for_update().get(pk=made.pk).name == "limited"
    assert items.filter(name="limited").delete()[0] == 4


def test_many_rows_by_executemany(database: Database, set_limit: SetLimit) -> None:
    set_limit(100)
    with transaction.atomic(database.alias), database.connection.cursor() as cursor:
        cursor.execute("create temporary table numbers (number int) on commit drop")
        cursor.executemany("insert into numbers values (%s)", [(1,), (2,), (3,)])
        cursor.execute("select sum(number) from numbers")
        assert cursor.fetchall() == [(6,)]


def test_what_debugging_shows_is_the_users(database: Database, set_limit: SetLimit) -> None:
    set_limit(100)
    connection = database.connection
    connection.force_debug_cursor = True
    try:
        assert database.fetch("select %s + 1", 41) == [(42,)]
        assert [query["sql"] for query in connection.queries] == ["select 41 + 1"]
    finally:
        connection.force_debug_cursor = False


def test_an_error_shows_the_users_line(database: Database, set_limit: SetLimit) -> None:
    set_limit(100)
    with pytest.raises(Exception, match="does not exist") as caught:
        database.fetch("select 1 as one, nonsense")
    assert "LINE 2: select 1 as one, nonsense" in str(caught.value)


def test_each_result_of_several_statements_is_the_users(database: Database, set_limit: SetLimit) -> None:
    set_limit(100)
    with database.connection.cursor() as cursor:
        cursor.execute("select 1; select 2")
        first = cursor.fetchall()
        if not is_psycopg3:
            assert first == [(2,)]  # psycopg2 has only the last.
            return
        assert first == [(1,)]
        assert cursor.nextset()
        assert cursor.fetchall() == [(2,)]
        assert not cursor.nextset()


@pytest.mark.driver("psycopg")
@pytest.mark.parametrize("options", [{"server_side_binding": True}, {"prepare_threshold": 1}])
def test_statements_whose_parameters_the_server_binds(
    make_database: MakeDatabase, set_limit: SetLimit, options: dict[str, Any]
) -> None:
    database = make_database(STATEMENT_TIMEOUT_FROM_TASK=True, **options)
    set_limit(100)
    with transaction.atomic(database.alias):
        for _ in range(4):
            rows = database.fetch(f"{SOURCE} and %s::int = 1", 1)
            assert rows[0][1] > 90_000
    for _ in range(4):
        assert database.fetch("select %s::int + 1", 1) == [(2,)]


def test_a_cursor_on_the_server_in_a_transaction(database: Database, set_limit: SetLimit) -> None:
    set_limit(100)
    with transaction.atomic(database.alias), database.connection.chunked_cursor() as cursor:
        cursor.execute(SOURCE)
        assert cursor.fetchall()[0][1] > 90_000


@MODES
def test_behind_pgbouncer_nobody_else_gets_it(
    make_database: MakeDatabase,
    put_pgbouncer_before: PutPgBouncerBefore,
    set_limit: SetLimit,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
) -> None:
    database = make_database(MAX_CONNS=2, STATEMENT_TIMEOUT_FROM_TASK=True, POOL_MODE=mode)
    put_pgbouncer_before(database, "transaction", size=1)
    set_limit(100)
    pid = database.pid()
    assert timeout(database) > 90_000
    with transaction.atomic(database.alias):
        assert timeout(database) > 90_000
    # Another client, on the same connection of PgBouncer's to the server.
    other = connections[database.alias].copy()
    monkeypatch.undo()
    with other.cursor() as cursor:
        cursor.execute(OURS)
        assert cursor.fetchall() == [("0",)]
        cursor.execute("select pg_backend_pid()")
        assert cursor.fetchall() == [(pid,)]
    other.close()
    database.give_back()


@pytest.mark.driver("psycopg")
def test_what_a_transaction_block_of_the_driver_undoes_is_set_again(database: Database, set_limit: SetLimit) -> None:
    set_limit(100)
    with transaction.atomic(database.alias):
        database.fetch("savepoint a")  # Begins the transaction, without a timeout.
        with connections[database.alias].connection.transaction(force_rollback=True):
            assert timeout(database) > 0
        assert timeout(database) > 0
