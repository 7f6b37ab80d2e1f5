"""Nothing is left of a greenlet or thread that has used the database.

eventlet's ``threading.local`` keeps a greenlet's values, Django's wrapper among them, for as long as the greenlet
lives. If the wrapper refers to its greenlet, by an error with a traceback, say, both stay for ever.
"""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DataError, Error, connections, transaction

from django_geventpool.errors import PoolTimeout
from tests.support.database import Database
from tests.support.tasks import Task, current_greenlet
from tests.support.waiting import eventually
from tests.testapp.models import Item

from .conftest import MODES, MakeDatabase

Use = Callable[[Database], object]


def _fails(database: Database) -> None:
    """Let Django record an error that breaks the transaction."""
    # PostgreSQL's integer is too small for this number.
    Item.objects.using(database.alias).create(name="kept", number=10**15)


def error_comes_out_of_atomic(database: Database) -> None:
    with pytest.raises(DataError), transaction.atomic(using=database.alias):
        _fails(database)


def error_is_caught_in_atomic(database: Database) -> None:
    with transaction.atomic(using=database.alias):
        with pytest.raises(DataError), transaction.atomic(using=database.alias):
            _fails(database)
        assert database.fetch("select 1") == [(1,)]


def error_breaks_atomic(database: Database) -> None:
    with transaction.atomic(using=database.alias):
        with pytest.raises(DataError):
            _fails(database)
        with pytest.raises(transaction.TransactionManagementError) as caught:
            database.fetch("select 1")
        assert isinstance(caught.value.__cause__, DataError)


def error_with_autocommit_off(database: Database) -> None:
    transaction.set_autocommit(False, using=database.alias)
    error_comes_out_of_atomic(database)
    transaction.rollback(using=database.alias)
    transaction.set_autocommit(True, using=database.alias)


def connection_is_lost_in_atomic(database: Database) -> None:
    with pytest.raises(Error), transaction.atomic(using=database.alias):  # noqa: PT012
        database.terminate(f"pid = {database.pid()}")
        _fails(database)


def pool_is_full(database: Database) -> None:
    others: list[Any] = []
    try:
        while len(others) < database.limit:
            others.append(database.pool.getconn())
        with pytest.raises(PoolTimeout), transaction.atomic(using=database.alias):
            _fails(database)
    finally:
        for connection in others:
            database.pool.putconn(connection)


USES = pytest.mark.parametrize(
    "use",
    [
        error_comes_out_of_atomic,
        error_is_caught_in_atomic,
        error_breaks_atomic,
        error_with_autocommit_off,
        connection_is_lost_in_atomic,
        pool_is_full,
    ],
)


@MODES
@USES
@pytest.mark.parametrize("gives_back", [True, False], ids=["gives_back", "leaves"])
@pytest.mark.usefixtures("schema")
def test_a_greenlet_or_thread_is_gone_after_an_error(
    make_database: MakeDatabase, use: Use, mode: str, *, gives_back: bool
) -> None:
    database = make_database(POOL_MODE=mode, CONN_WAIT_TIMEOUT=0.05)

    def run() -> None:
        use(database)
        if gives_back:
            database.give_back()

    _run_and_see_gone(database, run)


@pytest.mark.usefixtures("schema")
def test_a_greenlet_or_thread_is_gone_that_closes_inside_of_atomic(make_database: MakeDatabase) -> None:
    database = make_database()

    def run() -> None:
        with transaction.atomic(using=database.alias):
            assert database.fetch("select 1") == [(1,)]
            connections[database.alias].close()
            with pytest.raises(Error):
                _fails(database)
        database.give_back()

    _run_and_see_gone(database, run)


def _run_and_see_gone(database: Database, run: Callable[[], None]) -> None:
    """Call a function in a task, and assert that it succeeds and that nothing of its greenlet or thread is left."""
    runners: list[weakref.ref[Any]] = []

    def run_noting() -> None:
        runners.append(weakref.ref(current_greenlet() or threading.current_thread()))
        run()

    Task(run_noting).result()
    (runner,) = runners
    assert database.connection  # eventlet's locals keep the values of the greenlet that last used them.

    def is_gone() -> bool:
        gc.collect()
        return runner() is None

    eventually(is_gone, "nothing left of it", 5)
