"""What does not make a session count as changed, so that it is not cleared: DISCARD ALL would clear a mark in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import transaction
from django.db.backends.signals import connection_created

from servers.postgres import PostgresServer
from tests.support.database import Database
from tests.support.tasks import Task
from tests.support.waiting import eventually

from .conftest import MODES, MakeDatabase

MARKED = "select coalesce(current_setting('app.marker', true), '')"


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        server.query(
            "create function mark() returns void language plpgsql as "
            "$f$ begin perform set_config('app.marker', 'here', false); end $f$"
        )
        yield server


@contextmanager
def receiver(sql: str) -> Iterator[list[Any]]:
    """Execute SQL in each session that a wrapper meets; give a list that grows with each."""
    calls: list[Any] = []

    def set_up(connection: Any, **_: object) -> None:
        calls.append(None)
        with connection.cursor() as cursor:
            cursor.execute(sql)

    connection_created.connect(set_up)
    try:
        yield calls
    finally:
        connection_created.disconnect(set_up)


def mark(database: Database) -> None:
    """Leave in the session what no text shows, and only DISCARD ALL clears."""
    database.fetch("select mark()")
    database.give_back()


def is_marked(database: Database) -> bool:
    """Return whether another holder meets the session without that it was cleared."""
    return Task(database.answer, MARKED).result() == [("here",)]


@MODES
@pytest.mark.parametrize(
    "sql",
    [
        "set default_transaction_read_only = off",
        "set session characteristics as transaction isolation level serializable",
        "set datestyle = 'German'",
        "set application_name = 'received'",
        "set statement_timeout = '77s'",
    ],
)
def test_what_receivers_set_costs_no_discard(
    make_database: MakeDatabase, own_server: PostgresServer, mode: str, sql: str
) -> None:
    database = make_database(server=own_server, MAX_CONNS=1, POOL_MODE=mode)
    with receiver(sql) as calls:
        mark(database)
        for _ in range(3):
            assert is_marked(database)
    assert len(calls) >= 4, "each wrapper has set up its session"


@MODES
def test_a_default_of_the_server_that_changes_costs_once(
    make_database: MakeDatabase, own_server: PostgresServer, mode: str
) -> None:
    database = make_database(server=own_server, MAX_CONNS=1, POOL_MODE=mode)
    pid = database.pid()
    database.give_back()
    own_server.query("alter system set default_transaction_read_only = on")
    try:
        own_server.query("select pg_reload_conf()")
        default = "show default_transaction_read_only"
        eventually(lambda: Task(database.answer, default).result() == [("on",)], "the reload is noticed")
        with receiver("select 1") as calls:
            for _ in range(3):
                database.fetch("select 1")
            assert len(calls) <= 2, "the session counts as another one once, if at all"
            assert database.stats().in_use == int(mode == "session")
        database.give_back()
        assert database.pid() == pid
    finally:
        own_server.query("alter system reset default_transaction_read_only")
        own_server.query("select pg_reload_conf()")


def test_a_time_zone_that_django_sets_is_no_state_of_the_holder(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE="transaction", SESSION_STATE="raise", settings={"TIME_ZONE": "UTC"})
    with transaction.atomic(using=database.alias):
        assert database.fetch("show timezone") == [("UTC",)]
        database.connection.settings_dict["TIME_ZONE"] = "Asia/Tokyo"
        for name in ("timezone", "timezone_name"):
            vars(database.connection).pop(name, None)  # As Django does when its tests override TIME_ZONE.
        database.connection.ensure_timezone()
        assert database.fetch("show timezone") == [("Asia/Tokyo",)]
    assert database.stats().in_use == 0
    assert database.stats().pinned == {}
