"""The state of a connection for its next holder."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections
from django.db.backends.postgresql.psycopg_any import IsolationLevel

from tests.support.database import Database
from tests.support.drivers import READ_ONLY
from tests.support.tasks import Task
from tests.testapp.models import Item

from .conftest import MakeDatabase

ROLE_AND_ZONE = "select current_user::text, current_setting('timezone')"


def next_answer(database: Database, sql: str) -> list[tuple[Any, ...]]:
    """Return the answer that another greenlet or thread gets."""
    return Task(database.answer, sql).result()


def test_discard_all_clears_a_set_and_keeps_time_zone_and_role(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, ON_RELEASE_DISCARD_ALL=True, assume_role="app")
    pid = database.pid()
    assert database.fetch(ROLE_AND_ZONE) == [("app", "UTC")]
    database.fetch("set statement_timeout = '17s'")
    database.fetch("set timezone = 'Europe/Lisbon'")
    database.fetch("reset role")
    database.fetch("create temporary table scratch ()")
    database.fetch("select pg_advisory_lock(4711)")
    assert database.fetch(ROLE_AND_ZONE) == [(database.role, "Europe/Lisbon")]
    database.give_back()
    assert next_answer(database, "select pg_backend_pid()") == [(pid,)]
    assert next_answer(database, "show statement_timeout") == [("0",)]
    assert next_answer(database, ROLE_AND_ZONE) == [("app", "UTC")]
    assert next_answer(database, "select to_regclass('scratch')::text") == [(None,)]
    assert next_answer(database, "select count(*) from pg_locks where locktype = 'advisory' and objid = 4711") == [(0,)]


def test_without_discard_all_the_session_is_as_it_was_left(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, ON_RELEASE_DISCARD_ALL=False)
    database.fetch("set statement_timeout = '17s'")
    database.give_back()
    assert next_answer(database, "show statement_timeout") == [("17s",)]


def test_a_time_zone_of_the_alias_is_set(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, settings={"TIME_ZONE": "Asia/Kathmandu"})
    assert database.answer("show timezone") == [("Asia/Kathmandu",)]
    assert next_answer(database, "show timezone") == [("Asia/Kathmandu",)]


def test_a_transaction_left_open_is_rolled_back(make_database: MakeDatabase, schema: None) -> None:
    database = make_database(MAX_CONNS=1)
    pid = database.pid()
    database.connection.set_autocommit(False)
    Item.objects.using(database.alias).create(name="left open")
    database.give_back()
    assert next_answer(database, "select count(*), pg_backend_pid() from testapp_item where name = 'left open'") == [
        (0, pid)
    ]
    assert database.sessions("state LIKE 'idle in transaction%'") == []


def test_a_transaction_begun_by_hand_is_rolled_back(make_database: MakeDatabase, schema: None) -> None:
    database = make_database(MAX_CONNS=1)
    pid = database.pid()
    database.fetch("begin")
    Item.objects.using(database.alias).create(name="by hand")
    database.give_back()
    assert next_answer(database, "select count(*), pg_backend_pid() from testapp_item where name = 'by hand'") == [
        (0, pid)
    ]
    assert database.sessions("state LIKE 'idle in transaction%'") == []


def test_a_failed_transaction_is_rolled_back(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    database.fetch("begin")
    with pytest.raises(Exception, match="division by zero"):
        database.fetch("select 1 / 0")
    database.give_back()
    assert next_answer(database, "select 7") == [(7,)]


def state_of(raw: Any) -> tuple[object, ...]:
    """Return the state of the driver's connection that outlives transactions."""
    return raw.isolation_level, getattr(raw, READ_ONLY), raw.deferrable, raw.autocommit


@pytest.mark.parametrize(
    "change",
    [
        {"isolation_level": IsolationLevel.SERIALIZABLE},
        {READ_ONLY: True},
        {"deferrable": True},
        {"autocommit": False},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_was_changed_on_the_drivers_connection_does_not_reach_the_next_holder(
    make_database: MakeDatabase, schema: None, change: dict[str, Any]
) -> None:
    database = make_database(MAX_CONNS=1)
    database.fetch("select 1")
    for name, value in change.items():
        setattr(connections[database.alias].connection, name, value)
    database.give_back()

    def look() -> tuple[object, ...]:
        database.fetch("select 1")
        raw = connections[database.alias].connection
        database.give_back()
        return state_of(raw)

    fresh = make_database(MAX_CONNS=1)
    fresh.fetch("select 1")
    raw = connections[fresh.alias].connection
    expected = state_of(raw)
    assert Task(look).result() == expected
    database.assert_whole()


def test_a_connection_closed_by_its_holder_is_replaced(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    database.fetch("select 1")
    connections[database.alias].connection.close()
    database.give_back()
    assert next_answer(database, "select 7") == [(7,)]
    database.assert_whole()


def test_giving_back_twice_is_harmless(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    database.fetch("select 1")
    database.give_back()
    database.give_back()
    assert next_answer(database, "select 7") == [(7,)]
    assert database.stats().idle == database.stats().size == 1


def test_a_cursor_with_hold_left_open_in_a_failed_transaction_is_closed(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    pid = database.pid()
    left = connections[database.alias].connection.cursor("left", withhold=True)
    left.execute("select generate_series(1, 10)")
    database.fetch("begin")
    with pytest.raises(Exception, match="division by zero"):
        database.fetch("select 1 / 0")
    database.give_back()
    assert next_answer(database, "select count(*), pg_backend_pid() from pg_cursors where name = 'left'") == [(0, pid)]
    assert left.closed
