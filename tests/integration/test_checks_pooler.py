"""System checks that detect a pooler between the process and the server."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.checks import CheckMessage
from django.db import DatabaseError, transaction

from django_geventpool.checks.pooler import is_transaction_pooling
from django_geventpool.checks.server import check_server
from servers.pgbouncer import PoolMode
from servers.postgres_address import Postgres
from tests.support.database import Database
from tests.support.drivers import driver
from tests.support.tasks import Task, results
from tests.support.waiting import DEADLINE, eventually
from tests.testapp.models import Item

from .conftest import MakeDatabase, PutPgBouncerBefore


class CachedPassword:
    """A setting that can't be copied."""

    def __init__(self, password: str) -> None:
        self._password = password
        self._lock = threading.Lock()

    def __call__(self) -> str:
        with self._lock:
            return self._password


def messages(database: Database) -> dict[str | None, CheckMessage]:
    return {message.id: message for message in check_server(database.alias)}


def pooled(make_database: MakeDatabase, settings: dict[str, Any] | None = None, **options: Any) -> Database:
    # One connection of the pool, and one of the check's own.
    return make_database(MAX_CONNS=1, role_limit=2, settings=settings, **options)


def test_session_mode_is_worth_an_info(make_database: MakeDatabase, put_pgbouncer_before: PutPgBouncerBefore) -> None:
    database = pooled(make_database, ON_RELEASE_DISCARD_ALL=True)
    put_pgbouncer_before(database, "session", size=2)
    found = messages(database)
    assert list(found) == ["geventpool.I002"]
    assert "a pooler such as PgBouncer" in found["geventpool.I002"].msg
    assert "transaction mode" not in found["geventpool.I002"].msg
    # A connection above PgBouncer's limit waits until another is closed: see test_threads_checks_pooler.
    assert "Keep MAX_CONNS, times the number of processes, within" in str(found["geventpool.I002"].hint)
    assert database.stats().in_use == 0


def test_transaction_mode_needs_settings(
    make_database: MakeDatabase, put_pgbouncer_before: PutPgBouncerBefore, postgres: Postgres
) -> None:
    secret = {"PASSWORD": CachedPassword(postgres.password)}
    database = pooled(make_database, secret, ON_RELEASE_DISCARD_ALL=True, assume_role=postgres.user)
    put_pgbouncer_before(database, "transaction", size=2)
    found = messages(database)
    assert list(found) == ["geventpool.W006", "geventpool.W009", "geventpool.W010"]
    assert all("in transaction mode" in message.msg for message in found.values())
    assert '"DISABLE_SERVER_SIDE_CURSORS": True' in str(found["geventpool.W006"].hint)


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_transaction_mode_with_these_settings_is_worth_an_info(
    make_database: MakeDatabase, put_pgbouncer_before: PutPgBouncerBefore, mode: str
) -> None:
    database = pooled(make_database, {"DISABLE_SERVER_SIDE_CURSORS": True}, POOL_MODE=mode)
    put_pgbouncer_before(database, "transaction", size=2)
    found = messages(database)
    assert list(found) == ["geventpool.I002"]
    assert "in transaction mode" in found["geventpool.I002"].msg
    assert "may be more than PgBouncer's default_pool_size" in str(found["geventpool.I002"].hint)


def test_in_transaction_mode_more_connections_than_pgbouncer_has_are_no_trouble(
    make_database: MakeDatabase, put_pgbouncer_before: PutPgBouncerBefore
) -> None:
    """The check's hint says so: transactions wait, connections don't."""
    database = make_database(MAX_CONNS=4, role_limit=5, CONN_WAIT_TIMEOUT=0)
    put_pgbouncer_before(database, "transaction", size=1)
    all_connected = threading.Barrier(4)

    def work(number: int) -> list[tuple[Any, ...]]:
        database.connection.ensure_connection()
        all_connected.wait(DEADLINE)
        return database.answer("select %s::int", number)

    assert results([Task(work, number) for number in range(4)]) == [[(number,)] for number in range(4)]


def test_in_transaction_mode_iterators_fail_outside_of_atomic_only(
    make_database: MakeDatabase, put_pgbouncer_before: PutPgBouncerBefore, schema: None
) -> None:
    """The warning says so."""
    database = make_database(MAX_CONNS=2, role_limit=3)
    put_pgbouncer_before(database, "transaction", size=2)
    items = Item.objects.using(database.alias).filter(name="iterated").order_by("number")
    items.bulk_create(Item(name="iterated", number=number) for number in range(300))
    try:
        for is_atomic in (True, False):
            with transaction.atomic(using=database.alias) if is_atomic else contextlib.nullcontext():
                iterator = items.iterator(chunk_size=10)
                next(iterator)
                with in_another_transaction(database):
                    if is_atomic:
                        assert sum(1 for _ in iterator) == 299
                    else:
                        with pytest.raises((DatabaseError, driver.Error), match="does not exist"):
                            list(iterator)
    finally:
        database.give_back()
        items.delete()
        database.give_back()


@contextlib.contextmanager
def in_another_transaction(database: Database) -> Iterator[None]:
    """Keep another client in a transaction, on the server connection that was used last, if that is free."""
    begun, over = threading.Event(), threading.Event()

    def run() -> None:
        with transaction.atomic(using=database.alias):
            database.fetch("select 1")
            begun.set()
            assert over.wait(DEADLINE)
        database.give_back()

    task = Task(run)
    try:
        assert begun.wait(DEADLINE)
        yield
    finally:
        over.set()
        task.result()


@pytest.mark.parametrize(("pooler_mode", "expected"), [("session", False), ("transaction", True)])
def test_servers_in_turn_make_no_difference(
    make_database: MakeDatabase, put_pgbouncer_before: PutPgBouncerBefore, pooler_mode: PoolMode, expected: bool
) -> None:
    database = make_database(MAX_CONNS=4, role_limit=5)
    pooler = put_pgbouncer_before(database, pooler_mode, size=5, server_round_robin=1)
    database.assert_whole()
    assert is_transaction_pooling(database.alias) is expected
    eventually(lambda: sum(row["user"] == database.role for row in pooler.show("CLIENTS")) <= 4, "one client gone")


def test_a_connection_that_is_open_already_stays_open(
    make_database: MakeDatabase, put_pgbouncer_before: PutPgBouncerBefore
) -> None:
    database = pooled(make_database)
    put_pgbouncer_before(database, "session", size=2)
    pid = database.pid()
    assert not is_transaction_pooling(database.alias)
    assert database.pid() == pid
    database.give_back()
