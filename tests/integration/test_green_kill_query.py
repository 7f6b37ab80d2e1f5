"""Greenlets that are killed, or time out, in the middle of a query."""

from __future__ import annotations

import pytest

from django_geventpool import green
from servers.proxy import Proxy
from tests.support.tasks import Interruption, Task, framework_timeout, is_interruption, results
from tests.support.victims import SOON, interrupt_all, start_victims
from tests.support.waiting import eventually
from tests.support.watcher import Watcher

from .conftest import MakeDatabase

pytestmark = pytest.mark.frameworks("gevent", "eventlet")

INTERRUPTIONS: tuple[Interruption, ...] = ("kill", "timeout")
#: Without the check, a server that isn't asked to cancel the query doesn't notice that its client is gone.
BLIND = "-c client_connection_check_interval=0"


@pytest.mark.parametrize("how", INTERRUPTIONS)
@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_an_interrupted_query_ends_on_the_server_and_its_connection_is_replaced(
    make_database: MakeDatabase, how: Interruption, mode: str
) -> None:
    database = make_database(MAX_CONNS=5, POOL_MODE=mode, options=BLIND)
    with Watcher(database.server, database.role) as watcher:
        for _ in range(4):
            victims = start_victims(database, 5)
            pids = {row[0] for row in database.sessions()}
            waiters = [Task(database.answer, "select %s::int", number) for number in range(20)]
            eventually(lambda: database.stats().waiting == 20, "all others to wait")
            interrupt_all(database, victims, how)
            assert [rows[0][0] for rows in results(waiters)] == list(range(20))
            assert not pids & {row[0] for row in database.sessions()}, "an interrupted connection is still open"
        seen = watcher.seen()
    assert seen.most <= 5
    database.assert_whole()


@pytest.mark.parametrize("how", INTERRUPTIONS)
def test_the_query_ends_even_if_there_is_no_thread_to_cancel_it(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch, how: Interruption
) -> None:
    def refuse(_function: object) -> None:
        raise RuntimeError("can't start new thread")

    database = make_database(MAX_CONNS=2, options=BLIND)
    victims = start_victims(database, 2)
    with monkeypatch.context() as patch:
        patch.setattr(green, "start_native_thread", refuse)
        interrupt_all(database, victims, how)
    database.assert_whole()


def test_a_timeout_of_the_framework_around_a_query_ends_it_on_the_server(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, options=BLIND)

    def run() -> None:
        with framework_timeout(1):
            database.fetch("select pg_sleep(600)")

    task = Task(run)
    task.wait()
    assert is_interruption(task.error), repr(task.error)
    eventually(lambda: not database.running("pg_sleep(600)"), "the query gone from the server", SOON)
    database.assert_whole()


def test_a_task_goes_on_with_another_connection_after_a_timeout_in_mid_query(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, options=BLIND)
    before = database.pid()
    with pytest.raises(BaseException) as caught, framework_timeout(0.5):  # noqa: PT011  the Timeout is no Exception
        database.fetch("select pg_sleep(600)")
    assert is_interruption(caught.value)
    database.give_back()
    assert database.pid() != before
    database.give_back()
    database.assert_whole()


def test_cancelling_does_not_block_others_and_gives_up_on_a_server_that_does_not_answer(
    make_database: MakeDatabase,
) -> None:
    other = make_database(MAX_CONNS=1)
    server = other.server
    with Proxy(server.host, server.port) as proxy:
        # While the network is frozen, the server keeps the session that the pool has given up.
        database = make_database(
            MAX_CONNS=2,
            role_limit=4,
            settings={"HOST": "127.0.0.1", "PORT": proxy.port},
            CONN_WAIT_TIMEOUT=60,
            options=BLIND,
        )
        victims = [Task(database.fetch, "select pg_sleep(600)") for _ in range(2)]
        database.await_running("pg_sleep(600)", 2)
        proxy.freeze()
        waiter = Task(database.answer, "select 7")
        eventually(lambda: database.stats().waiting == 1, "the waiter to wait")
        for victim in victims:
            victim.interrupt()
        eventually(lambda: database.stats().closing == 2, "both connections being closed")
        assert other.answer("select 8") == [(8,)]
        assert database.stats().closing == 2, "the hub was blocked while a query was being cancelled"
        eventually(lambda: database.stats().closing == 0, "the slots given back without the server's answer")
        assert not waiter.ended
        proxy.thaw()
        assert waiter.result() == [(7,)]
        eventually(lambda: not database.running("pg_sleep(600)"), "the queries gone from the server")
        eventually(lambda: database.count() <= 2, "the sessions gone from the server")
        database.assert_whole()
