"""Connections whose wrappers are never closed: they come back with the wrapper's last reference at the latest."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from django.db import DataError, connections, transaction

from servers.postgres_address import Postgres
from tests.support.afterwards import whole_afterwards
from tests.support.database import Database
from tests.support.observer import Observer
from tests.support.tasks import Task, results
from tests.testapp.models import Item

#: More repetitions than there are connections.
TIMES = 5


@pytest.fixture(params=["session", "transaction"])
def database(request: pytest.FixtureRequest, postgres: Postgres, observer: Observer) -> Iterator[Database]:
    """An alias that must be whole after the test."""
    with whole_afterwards(postgres, observer, MAX_CONNS=2, POOL_MODE=request.param) as database:
        yield database


def test_a_copy_of_a_wrapper_that_is_dropped(database: Database) -> None:
    for number in range(TIMES):
        copy = database.connection.copy()
        cursor = copy.cursor()
        cursor.execute("select %s::int", [number])
        assert cursor.fetchone() == (number,)
        del copy, cursor


def test_a_copy_that_is_dropped_in_a_transaction(database: Database) -> None:
    for _ in range(TIMES):
        copy = database.connection.copy()
        copy.set_autocommit(False)
        copy.cursor().execute("select 1")
        del copy


def test_a_wrapper_that_is_deleted_from_connections(database: Database, schema: None) -> None:
    for _ in range(TIMES):
        assert Item.objects.using(database.alias).filter(name="nobody").count() == 0
        del connections[database.alias]


def test_a_wrapper_that_is_deleted_inside_atomic(database: Database) -> None:
    for _ in range(TIMES):
        connection = database.connection
        block = transaction.atomic(using=database.alias)
        block.__enter__()
        assert database.fetch("select 1") == [(1,)]
        del connections[database.alias], connection, block


def test_a_wrapper_that_goes_with_a_garbage_collection(database: Database) -> None:
    gc.disable()
    try:
        for _ in range(2):
            copy = database.connection.copy()
            copy.ensure_connection()
            copy.cycle = [copy]
            del copy
        assert database.stats().in_use == 2
    finally:
        gc.enable()
        gc.collect()


def test_a_wrapper_that_an_error_has_kept(database: Database) -> None:
    for _ in range(TIMES):
        copy = database.connection.copy()
        with pytest.raises(DataError, match="division by zero"):
            copy.cursor().execute("select 1 / 0")
        del copy
        gc.collect()


def test_a_greenlet_or_thread_that_ended_after_it_had_shared_its_wrapper(
    database: Database,
) -> None:

    def share() -> None:
        connection = database.connection
        connection.inc_thread_sharing()
        connection.ensure_connection()
        connection.dec_thread_sharing()

    for _ in range(TIMES):
        Task(share).result()


def test_a_wrapper_that_is_shared_for_good_and_then_dropped(database: Database) -> None:

    def share() -> None:
        database.connection.inc_thread_sharing()
        database.connection.ensure_connection()

    for _ in range(TIMES):
        Task(share).result()
    assert database.connection  # eventlet's locals keep the values of the greenlet that last used them.
    gc.collect()


def test_a_shared_wrapper_that_others_still_use_is_left_alone(database: Database) -> None:
    wrappers = []

    def share() -> None:
        database.connection.inc_thread_sharing()
        database.connection.ensure_connection()
        wrappers.append(database.connection)

    Task(share).result()
    gc.collect()
    (wrapper,) = wrappers
    with wrapper.cursor() as cursor:
        cursor.execute("select 8")
        assert cursor.fetchone() == (8,)
    assert database.stats().in_use == 1
    wrapper.close()
    wrapper.dec_thread_sharing()


def test_many_at_the_same_time(database: Database, schema: None) -> None:

    def use() -> int:
        copy = database.connection.copy()
        with copy.cursor() as cursor:
            cursor.execute("select 9")
            (answer,) = cursor.fetchone()
        del copy, cursor
        count = Item.objects.using(database.alias).filter(name="nobody").count()
        del connections[database.alias]
        return int(answer) + count

    assert results(Task(use) for _ in range(20)) == [9] * 20
