"""PostgreSQL restarts while tasks are at work."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from django.db import InterfaceError, OperationalError

from servers.postgres import PostgresServer, StopMode
from tests.support.database import Database
from tests.support.tasks import Task, results
from tests.support.waiting import eventually

from .conftest import MakeDatabase

STOP_MODES: tuple[StopMode, ...] = ("fast", "immediate")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    # The test's role must survive a crash.
    with PostgresServer(synchronous_commit=True) as own:
        yield own


class Load:
    """Tasks that query the server again and again, and count answers and errors."""

    def __init__(self, database: Database, tasks: int) -> None:
        self.answers: Counter[str] = Counter()
        self._database = database
        self._stop = threading.Event()
        self._tasks = [Task(self._run) for _ in range(tasks)]

    def _run(self) -> None:
        while not self._stop.is_set():
            self.answers[self._ask()] += 1

    def _ask(self) -> str:
        try:
            assert self._database.answer("select 7, pg_sleep(0.01)::text") == [(7, "")]
        except (OperationalError, InterfaceError) as error:
            self._stop.wait(0.05)
            return type(error).__name__
        return "right"

    def await_more(self, what: str) -> None:
        before = self.answers[what]
        eventually(lambda: self.answers[what] > before + 5, f"more of {what}: {self.answers}")

    def end(self) -> None:
        self._stop.set()
        results(self._tasks)


def assert_goes_on_after(database: Database, stop: Callable[[], object], start: Callable[[], object]) -> None:
    """Stop and start the server or pooler under load, and assert that all queries are answered again."""
    load = Load(database, 30)
    try:
        load.await_more("right")
        stop()
        load.await_more("OperationalError")
        start()
        answers = results([Task(database.answer, "select %s::int", number) for number in range(50)])
        assert [rows[0][0] for rows in answers] == list(range(50))
        load.await_more("right")
    finally:
        start()
        load.end()
    assert set(load.answers) <= {"right", "OperationalError", "InterfaceError"}
    database.assert_whole()


@pytest.mark.parametrize("mode", STOP_MODES)
def test_a_restart_under_load_leaves_the_pool_whole(
    make_database: MakeDatabase, server: PostgresServer, mode: StopMode
) -> None:
    database = make_database(server=server, MAX_CONNS=5)
    assert_goes_on_after(database, lambda: server.stop(mode=mode), server.start)


def test_a_crash_under_load_leaves_the_pool_whole(make_database: MakeDatabase, server: PostgresServer) -> None:
    assert_goes_on_after(make_database(server=server, MAX_CONNS=5), server.kill, server.start)


def test_idle_connections_that_a_restart_ended_are_replaced_without_an_error(
    make_database: MakeDatabase, server: PostgresServer
) -> None:
    database = make_database(server=server, MAX_CONNS=5)
    database.assert_whole()
    server.restart(mode="immediate")
    answers = results([Task(database.answer, "select %s::int", number) for number in range(100)])
    assert [rows[0][0] for rows in answers] == list(range(100))
    database.assert_whole()


def test_the_bound_holds_while_a_restarted_server_is_stormed(
    make_database: MakeDatabase, server: PostgresServer
) -> None:
    database = make_database(server=server, MAX_CONNS=5)
    waiting = [Task(database.answer, "select pg_sleep(600)::text") for _ in range(5)]
    database.await_running("pg_sleep(600)", 5)
    server.restart(mode="immediate")
    for task in waiting:
        with pytest.raises(OperationalError):
            task.result()
    # The role may have five sessions, and the pool must not have hit that limit: see make_database.
    results([Task(database.answer, "select pg_sleep(0.01)::text") for _ in range(200)])
    database.assert_whole()
