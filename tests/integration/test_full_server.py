"""The server has no connection left: that is a full pool, not a failed task."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from django_geventpool.errors import PoolTimeout
from servers.postgres import PostgresServer
from servers.postgres_address import Postgres
from tests.support.drivers import driver
from tests.support.programs import output_of, start_program
from tests.support.tasks import Task, results
from tests.support.waiting import eventually
from tests.support.watcher import Watcher

from .conftest import MakeDatabase


@pytest.fixture
def small_server() -> Iterator[PostgresServer]:
    """A server with 5 connections for ordinary roles, and 3 for superusers."""
    with PostgresServer(max_connections=8, superuser_reserved_connections=3) as server:
        yield server


@contextlib.contextmanager
def sessions_of(server: Postgres, role: str, count: int) -> Iterator[None]:
    """Open a number of sessions outside the pool."""
    connections = [driver.connect(**{**server.dsn, "user": role}) for _ in range(count)]
    try:
        yield
    finally:
        for connection in connections:
            connection.close()


def test_tasks_share_what_the_role_limit_allows(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=10, role_limit=2, CONN_WAIT_TIMEOUT=60)
    with Watcher(database.server, database.role) as watcher:
        answers = results([Task(database.answer, "select %s::int", number) for number in range(100)])
        assert watcher.seen().most <= 2
    assert [rows[0][0] for rows in answers] == list(range(100))
    # A refused connect may not have ended yet.
    eventually(lambda: database.stats().size <= 2, "no more connections than there may be")


def test_tasks_wait_and_succeed_once_the_role_has_room(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=5, role_limit=5, CONN_WAIT_TIMEOUT=60)
    with sessions_of(database.server, database.role, 5):
        tasks = [Task(database.answer, "select %s::int", number) for number in range(20)]
        eventually(lambda: database.stats().waiting == 20, "all to wait")
    assert [rows[0][0] for rows in results(tasks)] == list(range(20))
    eventually(lambda: database.count() <= 5, "the others gone")
    database.assert_whole()


def test_pool_timeout_when_the_server_stays_full(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=5, role_limit=5, CONN_WAIT_TIMEOUT=2)
    with sessions_of(database.server, database.role, 5):
        for task in [Task(database.answer, "select 1") for _ in range(10)]:
            with pytest.raises(PoolTimeout, match="server itself has no connection left") as caught:
                task.result()
            assert "too many connections for role" in str(caught.value.__cause__) or caught.value.__cause__ is None
    eventually(lambda: database.count() == 0, "the others gone")
    assert database.answer("select 7") == [(7,)]
    database.assert_whole()


def test_conn_wait_timeout_0_fails_at_once_when_the_server_is_full(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=5, role_limit=1, CONN_WAIT_TIMEOUT=0)
    with sessions_of(database.server, database.role, 1), pytest.raises(PoolTimeout):
        database.answer("select 1")
    eventually(lambda: database.count() == 0, "the other gone")
    assert eventually(lambda: _answers(database.answer), "the pause after a refusal over") == [(7,)]


def _answers(answer: object) -> list[tuple[int]] | None:
    try:
        return answer("select 7")  # type: ignore[operator, no-any-return]
    except PoolTimeout:
        return None


def test_max_connections_reached_by_ordinary_roles(small_server: PostgresServer, make_database: MakeDatabase) -> None:
    database = make_database(server=small_server, MAX_CONNS=20, role_limit=20, CONN_WAIT_TIMEOUT=60)
    with sessions_of(small_server, small_server.user, 5):
        tasks = [Task(database.answer, "select %s::int, pg_sleep(0.01)::text", number) for number in range(100)]
        eventually(lambda: "remaining connection slots are reserved" in small_server.log, "the server to refuse")
    with sessions_of(small_server, small_server.user, 3):
        assert [rows[0][0] for rows in results(tasks)] == list(range(100))
    eventually(lambda: database.stats().size <= 5, "no more connections than there may be")


def test_max_connections_reached_by_superusers_too(small_server: PostgresServer, make_database: MakeDatabase) -> None:
    database = make_database(server=small_server, MAX_CONNS=5, role_limit=20, CONN_WAIT_TIMEOUT=60)
    with sessions_of(small_server, "postgres", 8):
        tasks = [Task(database.answer, "select %s::int", number) for number in range(10)]
        eventually(lambda: "sorry, too many clients already" in small_server.log, "the server to refuse")
    assert [rows[0][0] for rows in results(tasks)] == list(range(10))
    eventually(lambda: database.stats().idle == database.stats().size, "all given back")


def test_two_processes_that_share_a_role_limit_smaller_than_their_sum_both_get_on(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=4, role_limit=5, CONN_WAIT_TIMEOUT=120, CONN_IDLE_TIMEOUT=1)
    with Watcher(database.server, database.role) as watcher:
        processes = [start_program("work", database.settings, "150") for _ in range(2)]
        outcomes = [output_of(process).strip() for process in processes]
        assert watcher.seen().most <= 5
    assert outcomes == ["150 right", "150 right"]
    assert [process.returncode for process in processes] == [0, 0]
