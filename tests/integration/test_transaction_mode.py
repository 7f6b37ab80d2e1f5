"""POOL_MODE "transaction": a connection is held for a transaction, not for a task."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import close_old_connections, transaction
from django.db.backends.postgresql.psycopg_any import IsolationLevel
from django.db.backends.signals import connection_created

from django_geventpool.pool import PoolStats, snapshots
from django_geventpool.pool.state import PoolState
from django_geventpool.utils import pinned
from servers.postgres import PostgresServer
from servers.postgres_address import Postgres
from tests.support.database import Database
from tests.support.tasks import Task, results
from tests.support.waiting import DEADLINE, eventually
from tests.support.watcher import Watcher
from tests.testapp.models import Item

from .conftest import MakeDatabase


@pytest.fixture
def database(make_database: MakeDatabase, schema: None) -> Database:
    return make_database(MAX_CONNS=2, POOL_MODE="transaction", CONN_WAIT_TIMEOUT=10)


def is_held(database: Database) -> bool:
    return database.stats().in_use == 1


def assert_goes_back(database: Database) -> None:
    """Assert that the current greenlet has no connection, although it didn't close any."""
    assert database.stats().in_use == 0
    assert database.connection.connection is None


def test_an_autocommitted_query_gives_the_connection_back(database: Database) -> None:
    assert database.fetch("select 1") == [(1,)]
    assert_goes_back(database)


def test_an_orm_query_gives_the_connection_back(database: Database) -> None:
    item = Item.objects.using(database.alias).create(name="a", number=1)
    assert_goes_back(database)
    assert Item.objects.using(database.alias).get(pk=item.pk).number == 1
    assert_goes_back(database)
    Item.objects.using(database.alias).filter(pk=item.pk).update(number=2)
    assert_goes_back(database)
    item.delete()
    assert_goes_back(database)


def test_holders_that_do_something_else_between_queries_share_one_connection(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE="transaction")
    meeting = threading.Barrier(20)

    def run(number: int) -> None:
        assert database.fetch("select %s::int", number) == [(number,)]
        # All twenty tasks meet here, each in the middle of its work.
        meeting.wait(DEADLINE)
        assert database.fetch("select %s::int", -number) == [(-number,)]

    with Watcher(database.server, database.role) as watcher:
        results([Task(run, number) for number in range(20)])
        assert watcher.seen().most == 1
    database.assert_whole()


def test_an_atomic_block_holds_one_connection_to_its_end(database: Database) -> None:
    with transaction.atomic(using=database.alias):
        pid = database.pid()
        assert is_held(database)
        with transaction.atomic(using=database.alias):
            assert database.pid() == pid
        assert is_held(database)
        assert database.pid() == pid
    assert_goes_back(database)


def test_an_atomic_block_that_fails_is_rolled_back_and_gives_the_connection_back(database: Database) -> None:
    def fail() -> None:
        with transaction.atomic(using=database.alias):
            Item.objects.using(database.alias).create(name="lost")
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert_goes_back(database)
    assert not Item.objects.using(database.alias).filter(name="lost").exists()


def test_on_commit_hooks_run_after_the_commit_and_may_query(database: Database) -> None:
    seen: list[int] = []

    def hook() -> None:
        seen.append(Item.objects.using(database.alias).filter(name="hooked").count())

    with transaction.atomic(using=database.alias):
        Item.objects.using(database.alias).create(name="hooked")
        transaction.on_commit(hook, using=database.alias)
    assert seen == [1]
    assert_goes_back(database)
    Item.objects.using(database.alias).filter(name="hooked").delete()


def test_a_manual_transaction_holds_the_connection_until_commit_or_rollback(database: Database) -> None:
    transaction.set_autocommit(False, using=database.alias)
    pid = database.pid()
    assert is_held(database)
    assert database.pid() == pid
    transaction.commit(using=database.alias)
    assert_goes_back(database)
    assert not transaction.get_autocommit(using=database.alias)
    database.pid()
    assert is_held(database)
    transaction.rollback(using=database.alias)
    assert_goes_back(database)
    transaction.set_autocommit(True, using=database.alias)
    assert_goes_back(database)


def test_a_transaction_begun_by_hand_holds_the_connection_to_its_end(database: Database) -> None:
    database.fetch("begin")
    assert is_held(database)
    pid = database.pid()
    assert database.pid() == pid
    database.fetch("commit")
    assert_goes_back(database)


def test_an_open_cursor_holds_the_connection_until_it_is_closed(database: Database) -> None:
    cursor = database.connection.cursor()
    cursor.execute("select 1")
    assert is_held(database)
    with database.connection.cursor() as other:
        other.execute("select 2")
    assert is_held(database)
    assert cursor.fetchall() == [(1,)]
    cursor.close()
    assert_goes_back(database)


def test_a_cursor_that_is_never_closed_holds_nothing_once_it_is_gone(database: Database) -> None:
    database.connection.cursor().execute("select 1")
    database.fetch("select 1")
    assert_goes_back(database)


@pytest.mark.parametrize("end", ["exhausted", "dropped"])
def test_a_server_side_cursor_holds_the_connection_until_it_is(database: Database, end: str) -> None:
    items = Item.objects.using(database.alias)
    items.bulk_create(Item(name="many", number=number) for number in range(10))
    iterator = items.filter(name="many").order_by("number").iterator(chunk_size=2)
    assert next(iterator).number == 0
    assert is_held(database)
    if end == "exhausted":
        assert [item.number for item in iterator] == list(range(1, 10))
    else:
        iterator.close()  # type: ignore[attr-defined]
    assert_goes_back(database)
    items.filter(name="many").delete()


def test_a_pin_keeps_what_lives_in_the_session(database: Database) -> None:
    with pinned(database.alias):
        database.fetch("create temporary table kept (n int)")
        with pinned(database.alias):
            database.fetch("insert into kept values (7)")
        assert database.fetch("select n from kept") == [(7,)]
        assert is_held(database)
        database.fetch("drop table kept")
    assert_goes_back(database)


def test_ensure_connection_by_hand_keeps_the_connection_until_close(database: Database) -> None:
    database.connection.ensure_connection()
    raw = database.connection.connection
    database.fetch("select 1")
    assert database.connection.connection is raw
    database.give_back()
    assert_goes_back(database)


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    with PostgresServer(synchronous_commit=True) as server:
        yield server


def test_a_wrapper_is_usable_between_two_transactions_while_the_server_is_there(
    make_database: MakeDatabase, own_server: PostgresServer
) -> None:
    database = make_database(server=own_server, MAX_CONNS=1, POOL_MODE="transaction", CONN_WAIT_TIMEOUT=10)
    assert not database.connection.is_usable()  # As with Django's engine, before the first connection.
    database.fetch("select 1")
    assert database.connection.is_usable()
    assert_goes_back(database)
    with transaction.atomic(using=database.alias):
        database.fetch("select 1")
        assert database.connection.is_usable()
    assert_goes_back(database)
    own_server.stop(mode="fast")
    assert not database.connection.is_usable()
    own_server.start()
    assert database.connection.is_usable()
    assert_goes_back(database)
    database.connection._close()  # noqa: SLF001  Django's own tests lose a connection so
    assert not database.connection.is_usable()
    database.fetch("select 1")
    assert_goes_back(database)


def test_autocommit_isolation_level_time_zone_and_role_are_right_at_every_checkout(
    make_database: MakeDatabase, postgres: Postgres
) -> None:
    database = make_database(
        MAX_CONNS=1,
        POOL_MODE="transaction",
        isolation_level=IsolationLevel.SERIALIZABLE,
        assume_role=postgres.user,
    )

    def spoil() -> None:
        with pinned(database.alias):
            database.fetch("set time zone 'Pacific/Fiji'")
            database.connection.ensure_connection()
            database.connection.connection.autocommit = False
        database.give_back()

    Task(spoil).result()
    assert database.fetch("show time zone") == [("UTC",)]
    assert database.fetch("select current_user::text") == [(postgres.user,)]
    with transaction.atomic(using=database.alias):
        assert database.fetch("show transaction isolation level") == [("serializable",)]
    assert_goes_back(database)


def test_connection_created_is_sent_once_for_each_connection_that_a_wrapper_meets(database: Database) -> None:
    met: list[Any] = []

    def receive(connection: Any, **_kwargs: Any) -> None:
        if connection.alias == database.alias:
            met.append(connection.connection)

    connection_created.connect(receive)
    try:
        for _ in range(3):
            database.fetch("select 1")
        assert len(met) == 1
        released = threading.Event()
        other = Task(_hold_until, database, released)
        eventually(lambda: database.stats().in_use == 1, "another to hold the first connection")
        database.fetch("select 1")
        released.set()
        other.result()
        mine = [connection for connection in met if connection is not met[0]]
        assert len(mine) == 1, "the wrapper met a second connection"
    finally:
        connection_created.disconnect(receive)
        del met[:]


def _hold_until(database: Database, released: threading.Event) -> None:
    with transaction.atomic(using=database.alias):
        database.pid()
        assert released.wait(DEADLINE)
    database.give_back()


def test_a_holder_that_ends_inside_a_transaction_is_reclaimed(database: Database) -> None:
    Task(database.fetch, "begin").result()
    eventually(lambda: database.stats().reclaimed == 1, "the connection reclaimed")
    database.assert_whole()


def test_a_dead_connection_is_replaced_between_two_queries_of_a_holder(database: Database) -> None:
    first = database.pid()
    assert database.terminate() == 1
    assert database.pid() != first


def test_pinned_does_nothing_to_another_engine_and_in_session_mode(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    with pinned(database.alias):
        pid = database.pid()
    assert database.pid() == pid
    database.give_back()
    with pinned("default"):
        pass


def test_autocommit_set_off_by_one_request_is_on_for_the_next(database: Database) -> None:
    transaction.set_autocommit(False, using=database.alias)
    database.fetch("select 1")
    transaction.commit(using=database.alias)
    assert not transaction.get_autocommit(using=database.alias)
    close_old_connections()  # As at the start and end of each request.
    assert transaction.get_autocommit(using=database.alias)
    database.fetch("select 1")
    assert_goes_back(database)


def test_a_half_read_iterator_that_the_garbage_collector_ends_can_not_block_the_pool(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = Item.objects.using(database.alias)
    items.bulk_create(Item(name="cycle", number=number) for number in range(10))

    def leave_half_read() -> None:
        iterator = items.filter(name="cycle").iterator(chunk_size=2)
        next(iterator)
        cycle: list[Any] = [iterator]
        cycle.append(cycle)

    pool = database.pool
    snapshot, collected = snapshots.snapshot, []

    def collect_under_the_lock(state: PoolState) -> PoolStats:
        if not collected:
            collected.append(gc.collect())
        return snapshot(state)

    gc.disable()
    try:
        leave_half_read()
        monkeypatch.setattr(snapshots, "snapshot", collect_under_the_lock)
        pool.stats()
    finally:
        gc.enable()
    assert collected
    eventually(lambda: database.stats().in_use == 0, "the iterator's connection back in the pool")
    items.filter(name="cycle").delete()
    database.assert_whole()


def test_a_cursor_that_another_greenlet_closes_takes_no_connection_from_its_owner(database: Database) -> None:
    cursor = database.connection.cursor()
    cursor.execute("select 1")
    raw = database.connection.connection
    Task(cursor.close).result()
    assert database.connection.connection is raw
    database.fetch("select 1")
    assert_goes_back(database)
