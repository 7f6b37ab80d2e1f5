"""Server-side cursors that were not closed, that failed, or that were closed in a failed transaction."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from django.db import DatabaseError, InterfaceError, connections, transaction

from tests.support import inside
from tests.support.database import Database
from tests.support.drivers import driver
from tests.support.tasks import Task
from tests.testapp.models import Item

from .conftest import MODES, MakeDatabase

LEFT = "select count(*) from pg_cursors"


def fill(database: Database, count: int = 300) -> None:
    with transaction.atomic(using=database.alias):
        Item.objects.using(database.alias).bulk_create(Item(name="row") for _ in range(count))
    database.give_back()


def forget(database: Database) -> None:
    Item.objects.using(database.alias).filter(name="row").delete()


@MODES
def test_a_cursor_whose_object_died_unclosed_is_closed_for_the_next_holder(
    make_database: MakeDatabase, schema: None, mode: str
) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode)

    def begin_to_read() -> int:
        cycle: list[Any] = []
        cursor = database.connection.chunked_cursor()
        cursor.execute("select generate_series(1, 1000)")
        cycle += [cycle, cursor]
        pid = int(cursor.fetchone() is not None and connections[database.alias].connection.info.backend_pid)
        del cursor, cycle
        gc.collect()
        database.give_back()
        return pid

    pids = {Task(begin_to_read).result() for _ in range(3)}
    assert Task(database.answer, LEFT).result() == [(0,)]
    assert pids == {Task(database.pid).result()}, "the connection was thrown away"


@MODES
def test_a_half_read_iterator_in_a_cycle_is_closed_for_the_next_holder(
    make_database: MakeDatabase, schema: None, mode: str
) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode)
    fill(database)

    def begin_to_read() -> None:
        cycle: list[Any] = []
        iterator = Item.objects.using(database.alias).iterator(chunk_size=2)
        cycle += [cycle, iterator, next(iterator)]
        del cycle, iterator
        database.give_back()

    for _ in range(3):
        Task(begin_to_read).result()
    gc.collect()
    assert Task(database.answer, LEFT).result() == [(0,)]
    forget(database)
    database.give_back()
    database.assert_whole()


@MODES
@pytest.mark.parametrize("in_block", [False, True])
def test_a_failing_iterator_does_not_cost_its_connection(
    make_database: MakeDatabase, schema: None, mode: str, in_block: bool
) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode)
    pid = database.pid()
    for _ in range(3):
        with pytest.raises(DatabaseError, match="division by zero"):  # noqa: PT012
            if in_block:
                with transaction.atomic(using=database.alias):
                    list(Item.objects.using(database.alias).extra(where=["1 / 0 = 1"]).iterator())
            else:
                list(Item.objects.using(database.alias).extra(where=["1 / 0 = 1"]).iterator())
        database.give_back()
    assert Task(database.answer, LEFT + " where pg_backend_pid() = %s", pid).result() == [(0,)]
    assert Task(database.pid).result() == pid


def test_a_block_that_fails_in_the_middle_of_an_iterator_does_not_cost_its_connection(
    make_database: MakeDatabase, schema: None
) -> None:
    database = make_database(MAX_CONNS=1)
    fill(database)
    pid = database.pid()
    with pytest.raises(LookupError), transaction.atomic(using=database.alias):  # noqa: PT012
        iterator = Item.objects.using(database.alias).iterator(chunk_size=2)
        next(iterator)
        raise LookupError
    database.give_back()
    assert Task(database.pid).result() == pid
    del iterator
    forget(database)


def test_a_cursor_with_hold_that_was_closed_in_a_failed_transaction_is_closed(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    pid = database.pid()
    with database.connection.chunked_cursor() as cursor:
        cursor.execute("select generate_series(1, 1000)")
        database.fetch("begin")
        with pytest.raises(DatabaseError):
            database.fetch("select 1 / 0")
    database.give_back()
    assert Task(database.answer, LEFT).result() == [(0,)]
    assert Task(database.pid).result() == pid


def test_a_cursor_declared_by_hand_is_closed(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    database.fetch("declare left_open cursor with hold for select 1")
    database.give_back()
    assert Task(database.answer, LEFT).result() == [(0,)]


def test_a_cursor_that_is_left_open_can_not_be_used_any_more(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    database.fetch("select 1")
    left = connections[database.alias].connection.cursor("left_open", withhold=True)
    left.execute("select generate_series(1, 1000)")
    database.give_back()
    assert left.closed
    with pytest.raises((InterfaceError, driver.InterfaceError)):
        left.fetchmany(2)
    left.close()
    assert Task(database.answer, LEFT).result() == [(0,)]


def test_nothing_is_sent_for_cursors_that_were_closed(make_database: MakeDatabase, schema: None) -> None:
    database = make_database(MAX_CONNS=1)
    fill(database)
    assert len(list(Item.objects.using(database.alias).filter(name="row").iterator(chunk_size=50))) == 300
    forget(database)
    database.give_back()
    (last,) = database.sessions()
    assert "CLOSE ALL" not in last[2]


def test_many_iterators_of_one_holder_are_not_kept(make_database: MakeDatabase, schema: None) -> None:
    database = make_database(MAX_CONNS=1)
    for _ in range(50):
        list(Item.objects.using(database.alias).iterator())
    assert inside.count_on_server(database.raw()) <= 1
