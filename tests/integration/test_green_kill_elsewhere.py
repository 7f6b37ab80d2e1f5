"""Greenlets that are killed while connecting, giving back, inside atomic, or reading a server-side cursor."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from django.db import transaction
from django.db.models import F, Func, TextField

from django_geventpool.utils import close_connection
from servers.proxy import Proxy
from tests.support.database import Database
from tests.support.tasks import Interruption, Task, is_interruption
from tests.support.waiting import eventually
from tests.support.watcher import Watcher
from tests.testapp.models import Item

from .conftest import MakeDatabase

pytestmark = pytest.mark.frameworks("gevent", "eventlet")

INTERRUPTIONS: tuple[Interruption, ...] = ("kill", "timeout")
OUT_OF_REACH = {"CONN_WAIT_TIMEOUT": 60, "MAX_CONNS": 1}


def through(proxy: Proxy) -> dict[str, Any]:
    return {"HOST": "127.0.0.1", "PORT": proxy.port}


@pytest.mark.parametrize("how", INTERRUPTIONS)
def test_a_kill_during_a_connect_that_hangs_gives_the_slot_back(make_database: MakeDatabase, how: Interruption) -> None:
    server = make_database().server
    with Proxy(server.host, server.port) as proxy:
        database = make_database(settings=through(proxy), **OUT_OF_REACH)
        proxy.freeze()
        victim = Task(database.fetch, "select 1")
        eventually(lambda: database.stats().connecting == 1, "a connection being opened")
        waiter = Task(database.answer, "select 7")
        eventually(lambda: database.stats().waiting == 1, "the waiter to wait")
        victim.interrupt(how)
        victim.wait()
        assert is_interruption(victim.error), repr(victim.error)
        proxy.thaw()
        assert waiter.result() == [(7,)]
        database.assert_whole()


@pytest.mark.parametrize("how", INTERRUPTIONS)
def test_a_kill_at_any_point_of_a_connect_and_a_query_keeps_the_bound(
    make_database: MakeDatabase, how: Interruption
) -> None:
    database = make_database(MAX_CONNS=2, CONN_IDLE_TIMEOUT=0)
    endings: list[BaseException | None] = []
    with Watcher(database.server, database.role) as watcher:
        for point in range(60):
            victim = Task(database.answer, "select 1")
            # Each switch lets it exchange about one more message with the server.
            for _ in range(point % 30):
                time.sleep(0.0005)
            victim.interrupt(how)
            victim.wait()
            endings.append(victim.error)
        seen = watcher.seen()
    assert any(is_interruption(error) for error in endings)
    assert [repr(error) for error in endings if error is not None and not is_interruption(error)] == []
    assert seen.most <= 2
    database.assert_whole()


@pytest.mark.parametrize("how", INTERRUPTIONS)
def test_a_kill_during_the_rollback_of_a_release_leaves_no_transaction_open(
    make_database: MakeDatabase, schema: None, how: Interruption
) -> None:
    server = make_database().server
    with Proxy(server.host, server.port) as proxy:
        database = make_database(settings=through(proxy), **OUT_OF_REACH)
        releasing = threading.Event()

        def run() -> None:
            database.connection.set_autocommit(False)
            Item.objects.using(database.alias).create(name="never")
            proxy.freeze()
            releasing.set()
            database.give_back()

        victim = Task(run)
        assert releasing.wait(30)
        _interrupt_in_release(database, victim, how)
        proxy.thaw()
        assert database.answer("select count(*) from testapp_item where name = 'never'") == [(0,)]
        database.assert_whole()


@pytest.mark.parametrize("how", INTERRUPTIONS)
@pytest.mark.parametrize("discard", [True, "dirty"])
def test_a_kill_during_the_discard_all_of_a_release_loses_no_slot(
    make_database: MakeDatabase, how: Interruption, discard: bool | str
) -> None:
    server = make_database().server
    with Proxy(server.host, server.port) as proxy:
        database = make_database(settings=through(proxy), ON_RELEASE_DISCARD_ALL=discard, **OUT_OF_REACH)
        releasing = threading.Event()

        def run() -> None:
            database.fetch("set statement_timeout = '17min'")
            proxy.freeze()
            releasing.set()
            database.give_back()

        victim = Task(run)
        assert releasing.wait(30)
        _interrupt_in_release(database, victim, how)
        proxy.thaw()
        assert database.answer("show statement_timeout") == [("0",)]
        database.assert_whole()


@pytest.mark.parametrize("how", INTERRUPTIONS)
def test_a_kill_while_the_server_is_asked_for_locks_leaves_none(make_database: MakeDatabase, how: Interruption) -> None:
    server = make_database().server
    with Proxy(server.host, server.port) as proxy:
        database = make_database(settings=through(proxy), POOL_MODE="transaction", **OUT_OF_REACH)
        asking = threading.Event()

        @close_connection
        def run() -> None:
            with database.connection.cursor() as cursor:
                cursor.execute("select pg_try_advisory_lock(81011)")
                proxy.freeze()
                asking.set()

        victim = Task(run)
        assert asking.wait(30)
        _interrupt_in_release(database, victim, how)
        proxy.thaw()
        locks = "select count(*) from pg_locks where locktype = 'advisory' and objid = 81011"
        eventually(lambda: database.answer(locks) == [(0,)], "the lock released")
        database.assert_whole()


@pytest.mark.parametrize("how", INTERRUPTIONS)
@pytest.mark.parametrize("busy", [True, False], ids=["in mid-query", "between queries"])
def test_a_kill_inside_atomic_rolls_back_and_leaves_no_transaction_open(
    make_database: MakeDatabase, schema: None, how: Interruption, busy: bool
) -> None:
    database = make_database(MAX_CONNS=1)
    inside = threading.Event()

    @close_connection
    def run() -> None:
        with transaction.atomic(using=database.alias), transaction.atomic(using=database.alias):
            Item.objects.using(database.alias).create(name="atomic")
            inside.set()
            if busy:
                database.fetch("select pg_sleep(600)")
            time.sleep(600)

    victim = Task(run)
    assert inside.wait(30)
    if busy:
        database.await_running("pg_sleep(600)")
    victim.interrupt(how)
    victim.wait()
    assert is_interruption(victim.error), repr(victim.error)
    assert Task(database.answer, "select count(*) from testapp_item where name = 'atomic'").result() == [(0,)]
    assert database.sessions("state LIKE 'idle in transaction%'") == []
    database.assert_whole()


@pytest.mark.parametrize("how", INTERRUPTIONS)
@pytest.mark.parametrize("busy", [True, False], ids=["in mid-fetch", "between fetches"])
def test_a_kill_in_the_iteration_of_a_server_side_cursor_loses_no_slot(
    make_database: MakeDatabase, schema: None, how: Interruption, busy: bool
) -> None:
    database = make_database(MAX_CONNS=1)
    items = Item.objects.using(database.alias)
    items.bulk_create(Item(name="cursor", number=number) for number in range(100))
    database.give_back()
    iterating = threading.Event()
    # Fetching the first rows is fast, fetching the others slow.
    seconds = Func(F("number") / 20 * 100, function="pg_sleep", output_field=TextField())

    @close_connection
    def run() -> None:
        # Outside a transaction, the whole result would be computed at the start.
        with transaction.atomic(using=database.alias):
            for item in items.filter(name="cursor").order_by("id").annotate(slept=seconds).iterator(chunk_size=10):
                if item.number == 5:
                    iterating.set()
                    if not busy:
                        time.sleep(600)

    try:
        victim = Task(run)
        assert iterating.wait(30)
        if busy:
            eventually(lambda: database.running("FETCH"), "a fetch that takes long")
        victim.interrupt(how)
        victim.wait()
        assert is_interruption(victim.error), repr(victim.error)
        database.assert_whole()
    finally:
        items.filter(name="cursor").delete()
        database.give_back()


def _interrupt_in_release(database: Database, victim: Task[None], how: Interruption) -> None:
    """Interrupt a task that waits for a frozen server while it gives its connection back."""
    eventually(lambda: database.stats().in_use == 1 and not victim.ended, "the task to give back")
    time.sleep(0.05)  # It gets as far as waiting for the server's answer, which does not come.
    victim.interrupt(how)
    victim.wait()
    assert is_interruption(victim.error), repr(victim.error)
