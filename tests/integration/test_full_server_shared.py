"""Processes that share a full server take turns, although they don't know of each other."""

from __future__ import annotations

import contextlib

import pytest

from django_geventpool.drivers import base
from django_geventpool.pool import server_limit
from servers.postgres_address import QUERY_SESSION
from tests.support.database import Database
from tests.support.drivers import driver
from tests.support.tasks import Task, results
from tests.support.waiting import eventually

from .conftest import MakeDatabase


def probe_full_server(database: Database) -> bool:
    connection = database.pool.getconn()
    try:
        return database.pool.driver.probe_full_server(connection)
    finally:
        database.pool.putconn(connection)


def test_the_roles_limit_is_known_to_be_reached(make_database: MakeDatabase) -> None:
    assert probe_full_server(make_database(MAX_CONNS=1, role_limit=1))
    assert not probe_full_server(make_database(MAX_CONNS=1, role_limit=2))


def test_the_databases_limit_is_known_to_be_reached(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, role_limit=2)
    dbname = database.server.dbname
    database.answer("select 1")
    ((sessions,),) = database.server.query(
        f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{dbname}' AND backend_type = 'client backend'"
        f" AND application_name <> '{QUERY_SESSION}'"
    )
    database.server.query(f'ALTER DATABASE "{dbname}" CONNECTION LIMIT {sessions}')
    try:
        assert probe_full_server(database)
    finally:
        database.server.query(f'ALTER DATABASE "{dbname}" CONNECTION LIMIT -1')
    assert not probe_full_server(database)


def test_a_server_that_does_not_answer_is_asked_once(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, role_limit=1)
    connection = database.pool.getconn()
    with connection.cursor() as cursor:
        # So the role's limit can't be read, as on a server without this view.
        cursor.execute("CREATE TEMPORARY TABLE pg_roles ()")
        cursor.execute("SET search_path TO pg_temp, pg_catalog")
    assert not database.pool.driver.probe_full_server(connection)
    with connection.cursor() as cursor:
        cursor.execute("RESET search_path")
    assert not database.pool.driver.probe_full_server(connection)
    database.pool.putconn(connection)
    database.assert_whole()


def test_a_server_that_is_too_slow_once_is_asked_again(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = make_database(MAX_CONNS=1, role_limit=1, options="-c statement_timeout=1000")
    with monkeypatch.context() as patch:
        patch.setattr(base, "FULL_SERVER_QUERY", "select pg_sleep(600)")
        assert not probe_full_server(database)
    with database.connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
    database.give_back()
    assert probe_full_server(database)


def test_another_process_gets_in_though_there_is_always_somebody_who_waits(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_limit, "PROBE_INTERVAL", (0.5, 0.5))
    database = make_database(MAX_CONNS=3, role_limit=3, CONN_WAIT_TIMEOUT=60)
    settled: list[None] = []

    def work() -> int:
        answers = 0
        while not settled:
            assert database.answer("select 7, pg_sleep(0.01)")[0][0] == 7
            answers += 1
        return answers

    tasks = [Task(work) for _ in range(12)]
    eventually(lambda: database.stats().in_use == 3 and database.stats().waiting > 3, "a pool that is always busy")

    def get_in() -> object:
        with contextlib.suppress(driver.OperationalError):
            return driver.connect(**{**database.server.dsn, "user": database.role})
        return None

    try:
        other = eventually(get_in, "room for somebody else")
    finally:
        settled.append(None)
    assert all(results(tasks))
    other.close()  # type: ignore[attr-defined]
    assert database.stats().closed["yielded"] >= 1
    eventually(lambda: database.count() <= 3, "the other gone")
    database.assert_whole()
