"""A network that stalls or cuts connections: a black hole; connections that are frozen, reset or closed."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from django.db import InterfaceError, OperationalError

from servers.proxy import Proxy
from tests.support.database import Database
from tests.support.drivers import DRIVER
from tests.support.tasks import FRAMEWORK, Task, results
from tests.support.waiting import eventually

from .conftest import MakeDatabase

Cut = Literal["reset", "drop"]
CUTS: tuple[Cut, ...] = ("reset", "drop")


@pytest.fixture
def proxy(make_database: MakeDatabase) -> Iterator[Proxy]:
    server = make_database().server
    with Proxy(server.host, server.port) as proxy:
        yield proxy


@pytest.fixture
def database(make_database: MakeDatabase, proxy: Proxy) -> Iterator[Database]:
    """A database behind the proxy. For a moment, the server may still have a session that has ended for the pool."""
    database = make_database(
        MAX_CONNS=2, role_limit=6, CONN_WAIT_TIMEOUT=60, settings={"HOST": "127.0.0.1", "PORT": proxy.port}
    )
    yield database
    with contextlib.suppress(Exception):
        proxy.thaw()


def cut(proxy: Proxy, how: Cut) -> None:
    if how == "reset":
        proxy.reset()
    else:
        proxy.drop()


@contextlib.contextmanager
def black_hole() -> Iterator[dict[str, Any]]:
    """A server that accepts connections and never sends anything."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        yield {"HOST": "127.0.0.1", "PORT": listener.getsockname()[1]}


def test_connect_timeout_is_honoured_against_a_black_hole_and_others_go_on(make_database: MakeDatabase) -> None:
    other = make_database(MAX_CONNS=1)
    with black_hole() as hole:
        database = make_database(MAX_CONNS=2, connect_timeout=2, settings=hole)
        start = time.monotonic()
        tasks = [Task(database.fetch, "select 1") for _ in range(2)]
        eventually(lambda: database.stats().connecting == 2, "both to connect")
        assert other.answer("select 7") == [(7,)]
        assert not any(task.ended for task in tasks), "a connect blocks all others"
        for task in tasks:
            with pytest.raises(OperationalError, match="time"):
                task.result()
        # By itself, libpq before 17 counts whole seconds of the clock.
        least = 0.9 if (FRAMEWORK, DRIVER) == ("threads", "psycopg2") else 1.9
        assert least <= time.monotonic() - start < 20
        eventually(lambda: database.stats().size == 0, "the slots given back")


def test_a_waiter_behind_a_black_hole_gets_its_own_try(make_database: MakeDatabase) -> None:
    with black_hole() as hole:
        database = make_database(MAX_CONNS=1, connect_timeout=2, CONN_WAIT_TIMEOUT=60, settings=hole)
        start = time.monotonic()
        tasks = [Task(database.fetch, "select 1") for _ in range(3)]
        for task in tasks:
            with pytest.raises(OperationalError, match="time"):
                task.result()
        # A server that has sent nothing has no session whose end the slot would have to wait for.
        assert time.monotonic() - start < 10


@pytest.mark.parametrize("how", CUTS)
def test_idle_connections_that_were_cut_are_replaced_without_an_error(
    database: Database, proxy: Proxy, how: Cut
) -> None:
    database.assert_whole()
    assert database.stats().idle == 2
    cut(proxy, how)
    answers = results([Task(database.answer, "select %s::int", number) for number in range(50)])
    assert [rows[0][0] for rows in answers] == list(range(50))
    database.assert_whole()


@pytest.mark.parametrize("how", CUTS)
def test_connections_cut_in_mid_query_raise_and_are_replaced(database: Database, proxy: Proxy, how: Cut) -> None:
    busy = [Task(database.answer, "select pg_sleep(600)::text") for _ in range(2)]
    database.await_running("pg_sleep(600)", 2)
    waiting = [Task(database.answer, "select %s::int", number) for number in range(20)]
    eventually(lambda: database.stats().waiting == 20, "all others to wait")
    cut(proxy, how)
    for task in busy:
        with pytest.raises((OperationalError, InterfaceError)):
            task.result()
    assert [rows[0][0] for rows in results(waiting)] == list(range(20))
    eventually(lambda: not database.running("pg_sleep(600)"), "the server to notice that its client is gone")
    database.assert_whole()


def test_a_connection_cut_in_the_middle_of_an_answer_raises_and_is_replaced(database: Database, proxy: Proxy) -> None:
    database.answer("select 1")
    proxy.cut_after(5000)
    with pytest.raises((OperationalError, InterfaceError)):
        database.answer("select repeat('x', 1000000)")
    assert database.answer("select 7") == [(7,)]
    database.assert_whole()


def test_a_frozen_connection_goes_on_when_the_network_does(database: Database, proxy: Proxy) -> None:
    database.fetch("select 1")
    proxy.freeze()
    other = Task(database.answer, "select 7")
    eventually(lambda: database.stats().connecting == 1, "another to connect")
    proxy.thaw()
    assert other.result() == [(7,)]
    assert database.fetch("select 8") == [(8,)]
    database.give_back()
    database.assert_whole()


def test_a_connect_that_was_frozen_and_then_reset_gives_its_slot_back(database: Database, proxy: Proxy) -> None:
    proxy.freeze()
    tasks = [Task(database.answer, "select 1") for _ in range(2)]
    eventually(lambda: proxy.clients() == 2, "both to connect")
    proxy.reset()
    for task in tasks:
        with pytest.raises((OperationalError, InterfaceError)):
            task.result()
    proxy.thaw()
    database.assert_whole()


def test_a_query_on_a_dead_network_ends_by_the_users_tcp_options(make_database: MakeDatabase) -> None:
    # One machine can't show what the kernel does with these settings, only that they reach the socket.
    database = make_database(keepalives_idle=7, keepalives_interval=3, keepalives_count=2, tcp_user_timeout=9000)
    database.fetch("select 1")
    with socket.socket(fileno=database.connection.connection.fileno()) as end:
        try:
            assert end.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 7
            assert end.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 3
            assert end.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 2
            assert end.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 9000
        finally:
            end.detach()


@pytest.mark.frameworks("gevent", "eventlet")
def test_connect_timeout_of_the_environment_is_honoured(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "2")
    with black_hole() as hole:
        database = make_database(MAX_CONNS=1, settings=hole)
        with pytest.raises(OperationalError, match="time"):
            database.fetch("select 1")
