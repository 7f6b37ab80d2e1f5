"""A connection that goes back, or is closed, while another greenlet or thread is using it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import Error, connections

from django_geventpool.drivers import connection as driver_connection
from servers.proxy import Proxy
from tests.support.database import Database
from tests.support.drivers import DRIVER, driver
from tests.support.tasks import FRAMEWORK, Task
from tests.support.waiting import eventually

from .conftest import MakeDatabase

#: Without the check, only the client itself ends its queries.
ON_ITS_OWN = "-c client_connection_check_interval=0"


def give_back(database: Database) -> None:
    database.give_back()


def end_without_giving_back(database: Database) -> None:
    """Do nothing, so that the pool has to notice the end of the holder."""


def close(database: Database) -> None:
    """Close the driver's connection, and give it back."""
    connections[database.alias].connection.close()
    database.give_back()


ENDS = pytest.mark.parametrize("end", [give_back, end_without_giving_back, close])


class Shared:
    """A holder that passes a cursor to a user in the same process, and ends when told to.

    :param use: called by the user with the driver's cursor.
    :param end: called by the holder at its end.
    :param name: the name of a server-side cursor; None for a client-side one.
    """

    def __init__(
        self,
        database: Database,
        use: Callable[[Any], object],
        end: Callable[[Database], None],
        name: str | None = None,
    ) -> None:
        self.user: Task[object] | None = None
        self._told = threading.Event()
        self._holder: Task[None] | None = Task(self._hold, database, use, end, name)
        eventually(lambda: self.user is not None or self._is_over(), "a user")

    def _hold(
        self, database: Database, use: Callable[[Any], object], end: Callable[[Database], None], name: str | None
    ) -> None:
        database.connection.ensure_connection()
        database.connection.set_autocommit(name is None)
        raw = database.connection.connection
        cursor = raw.cursor() if name is None else raw.cursor(name=name)
        self.user = Task(use, cursor)
        assert self._told.wait(30)
        end(database)

    def _is_over(self) -> bool:
        if self._holder is not None and self._holder.ended:
            self._holder.result()
            self._holder = None  # Drops the last reference to the greenlet.
        return self._holder is None

    def end(self) -> BaseException | None:
        """Let the holder end; return the error that its user ends with."""
        self._told.set()
        eventually(self._is_over, "the end of the holder")
        assert self.user is not None
        self.user.wait(10)
        return self.user.error


def sleep_on_server(cursor: Any) -> None:
    cursor.execute("select pg_sleep(600)")


def query_and_query(cursor: Any) -> None:
    while True:
        cursor.execute("select repeat('x', 100000) from generate_series(1, 20)")
        cursor.fetchall()


def fetch_and_fetch(cursor: Any) -> None:
    cursor.execute("select number, pg_sleep(0.02) from generate_series(1, 100000) number")
    while cursor.fetchmany(2):
        pass


@ENDS
def test_the_query_is_cancelled_and_its_user_told(make_database: MakeDatabase, end: Callable[[Database], None]) -> None:
    database = make_database(MAX_CONNS=1, options=ON_ITS_OWN)
    shared = Shared(database, sleep_on_server, end)
    database.await_running("pg_sleep(600)")
    error = shared.end()
    assert isinstance(error, driver.OperationalError), repr(error)
    assert any(words in str(error) for words in ("given back", "canceling statement"))
    eventually(lambda: not database.running("pg_sleep(600)"), "the query gone from the server", 5)
    assert database.answer("select 7") == [(7,)]
    database.assert_whole()


@ENDS
@pytest.mark.parametrize("use", [query_and_query, fetch_and_fetch])
def test_at_any_moment(
    make_database: MakeDatabase, use: Callable[[Any], None], end: Callable[[Database], None]
) -> None:
    database = make_database(MAX_CONNS=2)
    for moment in range(10):
        shared = Shared(database, use, end, "shared" if use is fetch_and_fetch else None)
        time.sleep(0.003 * moment)  # So that it is hit at another place each time.
        error = shared.end()
        # psycopg2's cursors aren't thread-safe: closing one may make another thread's rows disappear.
        is_mixed_up = error is None and use is fetch_and_fetch and (FRAMEWORK, DRIVER) == ("threads", "psycopg2")
        assert isinstance(error, driver.Error) or is_mixed_up, repr(error)
    database.assert_whole()


def test_a_cursor_on_the_server_that_outlives_the_task(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    left: list[Task[None]] = []

    def consume(cursor: Any) -> None:
        while cursor.fetchmany(2):
            pass

    def run() -> None:
        database.connection.set_autocommit(False)
        cursor = database.connection.chunked_cursor()
        cursor.execute("select number, pg_sleep(0.05) from generate_series(1, 100000) number")
        left.append(Task(consume, cursor))
        eventually(lambda: database.running("FETCH"), "the cursor to be read")
        database.give_back()

    Task(run).result()
    left[0].wait(10)
    assert isinstance(left[0].error, (Error, driver.Error)), repr(left[0].error)
    assert database.answer("select 7") == [(7,)]
    database.assert_whole()


@pytest.mark.parametrize("end", [give_back, end_without_giving_back])
def test_a_server_that_does_not_answer(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch, end: Callable[[Database], None]
) -> None:
    monkeypatch.setattr(driver_connection, "CLOSE_TIMEOUT", 0.5)
    server = make_database().server
    with Proxy(server.host, server.port) as proxy:
        database = make_database(MAX_CONNS=1, settings={"HOST": "127.0.0.1", "PORT": proxy.port})
        shared = Shared(database, sleep_on_server, end)
        database.await_running("pg_sleep(600)")
        proxy.freeze()
        error = shared.end()
        assert isinstance(error, driver.OperationalError), repr(error)
        eventually(lambda: database.stats().size == 0, "the slot to be free", 15)
        proxy.thaw()
        eventually(lambda: database.count() == 0, "the query and its session gone from the server", 15)
        assert database.answer("select 7") == [(7,)]
        database.assert_whole()


def test_a_connection_that_somebody_uses_after_giving_it_back_is_not_lent(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, options=ON_ITS_OWN)
    pid = database.pid()
    raw = connections[database.alias].connection
    database.give_back()
    straggler = Task(lambda: sleep_on_server(raw.cursor()))
    database.await_running("pg_sleep(600)")
    ((next_pid,),) = database.answer("select pg_backend_pid()")
    assert next_pid != pid
    straggler.wait(10)
    assert isinstance(straggler.error, driver.OperationalError), repr(straggler.error)
    database.assert_whole()
