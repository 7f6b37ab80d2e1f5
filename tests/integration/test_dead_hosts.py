"""The first of two hosts never answers: that holds up few tasks, and none for longer than the first found out."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError

from django_geventpool.drivers import dead_hosts
from django_geventpool.pool import slot
from servers.postgres_address import Postgres
from servers.proxy import Proxy
from tests.support.database import Database
from tests.support.drivers import driver
from tests.support.tasks import Task, is_interruption, results
from tests.support.waiting import eventually

from .conftest import MakeDatabase

HOST = "127.0.0.1"
#: Longer than any test may take (seconds).
NEVER = 600


class SilentHost:
    """Takes connections, counts them, and never sends anything."""

    def __init__(self, listener: socket.socket) -> None:
        self.port: int = listener.getsockname()[1]
        self._listener = listener
        self._taken: list[socket.socket] = []

    def count(self) -> int:
        """Return how many have connected so far."""
        self._listener.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self._taken.append(self._listener.accept()[0])
        return len(self._taken)

    def close(self) -> None:
        for connection in self._taken:
            connection.close()


@pytest.fixture
def silent() -> Iterator[SilentHost]:
    with socket.create_server((HOST, 0), backlog=100) as listener:
        host = SilentHost(listener)
        yield host
        host.close()


@pytest.fixture(autouse=True)
def long_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_hosts, "RETRY_AFTER", NEVER)


def make(make_database: MakeDatabase, postgres: Postgres, *first: int, **options: Any) -> Database:
    """Make a database with the live server behind others."""
    ports = [*first, postgres.port]
    settings = {"HOST": ",".join([HOST] * len(ports)), "PORT": ",".join(map(str, ports))}
    return make_database(CONN_WAIT_TIMEOUT=60, settings=settings, **options)


def renew(database: Database, count: int) -> None:
    """Close the idle connections, and open so many again."""
    database.pool.close_idle()
    eventually(lambda: database.stats().size == 0, "all connections closed")
    assert results([Task(database.answer, "select 7, pg_sleep(0.1)::text") for _ in range(count)])


def test_once_it_is_known_nobody_waits_for_it(
    make_database: MakeDatabase, postgres: Postgres, silent: SilentHost
) -> None:
    database = make(make_database, postgres, silent.port, MAX_CONNS=10, role_limit=20, connect_timeout=2)
    assert results([Task(database.answer, "select 7") for _ in range(10)]) == [[(7,)]] * 10
    known = silent.count()
    assert 1 <= known < 10
    renew(database, 10)
    database.assert_whole()
    assert silent.count() == known


@pytest.mark.parametrize("attributes", ["primary", "prefer-standby"])
def test_with_a_choice_of_servers_too(
    make_database: MakeDatabase, postgres: Postgres, silent: SilentHost, attributes: str
) -> None:
    options = {"target_session_attrs": attributes, "connect_timeout": 2, "role_limit": 8}
    database = make(make_database, postgres, silent.port, MAX_CONNS=2, **options)
    assert database.answer("select 7") == [(7,)]
    assert silent.count() == 1, "the second look at all hosts knows of the first"
    renew(database, 2)
    assert silent.count() == 1


def test_of_two_addresses_of_a_name_too(
    make_database: MakeDatabase, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = socket.getaddrinfo

    def getaddrinfo(host: Any, *asked: Any, **options: Any) -> list[Any]:
        names = ("127.0.0.2", HOST) if host == "db.example" else (host,)
        return [address for name in names for address in system(name, *asked, **options)]

    with socket.create_server(("127.0.0.2", postgres.port), backlog=100) as listener:
        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        silent = SilentHost(listener)
        settings = {"HOST": "db.example", "PORT": postgres.port}
        database = make_database(MAX_CONNS=2, connect_timeout=2, CONN_WAIT_TIMEOUT=60, settings=settings)
        assert results([Task(database.answer, "select 7") for _ in range(2)]) == [[(7,)]] * 2
        known = silent.count()
        renew(database, 2)
        assert silent.count() == known
        silent.close()


def test_when_it_answers_again_it_is_the_first_again(
    make_database: MakeDatabase, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_hosts, "RETRY_AFTER", 0.5)
    with Proxy(postgres.host, postgres.port) as proxy:
        database = make(make_database, postgres, proxy.port, MAX_CONNS=2, role_limit=8, connect_timeout=2)
        proxy.freeze()
        assert database.answer("select 7") == [(7,)]
        proxy.thaw()
        eventually(lambda: proxy.clients() == 0, "the frozen connect gone")

        def leads_there() -> bool:
            renew(database, 1)
            return proxy.clients() == 1

        eventually(leads_there, "a connection to the first host")
        renew(database, 2)
        assert proxy.clients() == 2
        database.assert_whole()


def test_all_hosts_dead_is_an_error_for_each_and_over_when_one_lives(
    make_database: MakeDatabase, postgres: Postgres, silent: SilentHost
) -> None:
    with Proxy(postgres.host, postgres.port) as proxy:
        settings = {"HOST": f"{HOST},{HOST}", "PORT": f"{silent.port},{proxy.port}"}
        options = {"MAX_CONNS": 2, "role_limit": 8, "CONN_WAIT_TIMEOUT": 60, "connect_timeout": 2}
        database = make_database(settings=settings, **options)
        proxy.freeze()
        for task in [Task(database.answer, "select 7") for _ in range(3)]:
            task.wait()
            assert isinstance(task.error, OperationalError)
        proxy.thaw()
        assert database.answer("select 7") == [(7,)]
        database.assert_whole()


# Interruptions, which are of greenlets


@pytest.mark.frameworks("gevent", "eventlet")
@pytest.mark.parametrize("how", ["kill", "timeout"])
def test_who_is_interrupted_in_vain_tells_those_that_wait_there_too(
    make_database: MakeDatabase, postgres: Postgres, silent: SilentHost, monkeypatch: pytest.MonkeyPatch, how: Any
) -> None:
    monkeypatch.setattr(dead_hosts, "SLOW", 0.5)
    database = make(make_database, postgres, silent.port, MAX_CONNS=4, role_limit=8, connect_timeout=NEVER)
    first = Task(database.answer, "select 7")
    eventually(lambda: silent.count() == 1, "one to connect")
    others = [Task(database.answer, "select 7") for _ in range(10)]
    eventually(lambda: silent.count() == 2, "another to connect, as the first takes long")
    first.interrupt(how)
    # Nobody's time is over: all go on to the other host.
    assert results(others) == [[(7,)]] * 10
    assert is_interruption(first.error)
    database.assert_whole()


@pytest.mark.frameworks("gevent", "eventlet")
def test_when_the_one_that_connects_for_all_is_killed_the_next_takes_its_place(
    make_database: MakeDatabase, postgres: Postgres
) -> None:
    with Proxy(postgres.host, postgres.port) as proxy:
        settings = {"HOST": HOST, "PORT": proxy.port}
        database = make_database(MAX_CONNS=4, role_limit=8, CONN_WAIT_TIMEOUT=60, settings=settings)
        proxy.freeze()
        first = Task(database.answer, "select 7")
        eventually(lambda: proxy.clients() == 1, "one to connect")
        others = [Task(database.answer, "select 7") for _ in range(10)]
        eventually(lambda: database.stats().waiting >= 9, "the others to wait")
        first.interrupt()
        first.wait()
        eventually(lambda: proxy.clients() >= 1 and database.stats().connecting >= 1, "another to connect")
        proxy.thaw()
        assert results(others) == [[(7,)]] * 10
        database.assert_whole()


# One connects for all, while it isn't slow


def test_a_full_server_is_met_by_one_connect_at_a_time(
    make_database: MakeDatabase, postgres: Postgres, silent: SilentHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slot, "SLOW_CONNECT", NEVER)
    database = make(make_database, postgres, silent.port, MAX_CONNS=10, role_limit=2, connect_timeout=2)
    outside = [driver.connect(**{**postgres.dsn, "user": database.role}) for _ in range(2)]
    connecting: list[int] = []
    lock = threading.Lock()
    under_way = [0]
    connect = database.pool.driver.connect

    def counting(*args: Any) -> Any:
        with lock:
            under_way[0] += 1
            connecting.append(under_way[0])
        try:
            return connect(*args)
        finally:
            with lock:
                under_way[0] -= 1

    monkeypatch.setattr(database.pool.driver, "connect", counting)
    tasks = [Task(database.answer, "select 7") for _ in range(10)]
    try:
        eventually(lambda: len(connecting) >= 6, "some refusals")
        assert max(connecting) == 1
        assert silent.count() == 1, "all but the first go to the other host only"
    finally:
        for connection in outside:
            connection.close()
    assert results(tasks) == [[(7,)]] * 10
