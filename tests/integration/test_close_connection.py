"""close_connection, for greenlets and threads that users' code starts itself."""

from __future__ import annotations

import pytest
from django.db import transaction

from django_geventpool.utils import close_connection, end_task
from tests.support.database import Database
from tests.support.tasks import Task, results
from tests.testapp.models import Item

from .conftest import MODES, MakeDatabase


@pytest.fixture
def database(make_database: MakeDatabase) -> Database:
    # At a full server, connections would be closed for other processes, and opened again.
    return make_database(MAX_CONNS=2, CONN_WAIT_TIMEOUT=60, role_limit=3)


def assert_all_was_given_back(database: Database) -> None:
    assert database.stats().in_use == 0
    assert database.stats().connects <= 2
    assert database.stats().reclaimed == 0
    database.assert_whole()


def test_decorator_without_parentheses(database: Database) -> None:
    @close_connection
    def fetch(number: int, *, plus: int = 0) -> int:
        return int(database.fetch("select %s::int", number + plus)[0][0])

    assert results([Task(fetch, number) for number in range(20)]) == list(range(20))
    assert fetch(1, plus=2) == 3
    assert fetch.__name__ == "fetch"
    assert_all_was_given_back(database)


def test_decorator_with_parentheses(database: Database) -> None:
    @close_connection()
    def fetch(number: int) -> int:
        return int(database.fetch("select %s::int", number)[0][0])

    assert results([Task(fetch, number) for number in range(20)]) == list(range(20))
    assert fetch.__name__ == "fetch"
    assert_all_was_given_back(database)


def test_context_manager(database: Database) -> None:
    def fetch(number: int) -> int:
        with close_connection():
            return int(database.fetch("select %s::int", number)[0][0])

    assert results([Task(fetch, number) for number in range(20)]) == list(range(20))
    assert_all_was_given_back(database)


def test_the_connection_goes_back_when_the_function_raises(database: Database) -> None:
    @close_connection
    def fail() -> None:
        database.fetch("select 1")
        raise LookupError("it failed")

    for task in [Task(fail) for _ in range(5)]:
        with pytest.raises(LookupError):
            task.result()
    assert_all_was_given_back(database)


def test_the_connections_of_all_aliases_go_back(make_database: MakeDatabase) -> None:
    first, second = make_database(MAX_CONNS=1), make_database(MAX_CONNS=1)
    with close_connection():
        first.fetch("select 1")
        second.fetch("select 1")
    assert first.stats().in_use == second.stats().in_use == 0


def test_a_connection_inside_atomic_is_left_alone(database: Database, schema: None) -> None:
    items = Item.objects.using(database.alias)

    @close_connection
    def add() -> None:
        items.create(name="close_connection")

    with transaction.atomic(using=database.alias):
        add()
        pid = database.pid()
        with close_connection():
            assert items.filter(name="close_connection").count() == 1
        assert database.pid() == pid
        transaction.set_rollback(True, using=database.alias)
    assert items.filter(name="close_connection").count() == 0
    database.give_back()
    assert_all_was_given_back(database)


@MODES
def test_a_task_that_was_interrupted_on_its_way_out_of_a_block_leaves_the_next_a_wrapper_of_its_own(
    make_database: MakeDatabase, mode: str
) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode, CONN_WAIT_TIMEOUT=5)
    block = transaction.atomic(using=database.alias)
    block.__enter__()
    assert database.fetch("select 1") == [(1,)]
    # The block is never left.
    end_task()
    assert database.fetch("select 2") == [(2,)]
    end_task()
    database.assert_whole()


@MODES
def test_the_end_of_a_task_leaves_a_block_alone_that_it_shares(make_database: MakeDatabase, mode: str) -> None:
    """Such a block is that of a test whose worker's threads use the test's own connection."""
    database = make_database(MAX_CONNS=1, POOL_MODE=mode)
    database.connection.inc_thread_sharing()
    try:
        with transaction.atomic(using=database.alias):
            assert database.fetch("select 1") == [(1,)]
            end_task()
            assert database.fetch("select 2") == [(2,)]
    finally:
        database.connection.dec_thread_sharing()
    database.give_back()
    database.assert_whole()
