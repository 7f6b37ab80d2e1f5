"""IDLE_IN_TRANSACTION_WARNING_AFTER: transactions that are open and do nothing are reported."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from django.db import DatabaseError, transaction

from django_geventpool.pool import holder
from tests.support.database import Database
from tests.support.tasks import Task
from tests.support.waiting import DEADLINE, eventually

from .conftest import MODES, MakeDatabase

AFTER = 0.2


def warnings_of(caplog: pytest.LogCaptureFixture, alias: str) -> list[str]:
    messages = [record.getMessage() for record in caplog.records]
    return [message for message in messages if alias in message and "IDLE_IN_TRANSACTION_WARNING_AFTER" in message]


@contextmanager
def in_atomic(database: Database) -> Iterator[None]:
    with transaction.atomic(using=database.alias):
        database.fetch("select 1")
        yield


@contextmanager
def in_savepoint(database: Database) -> Iterator[None]:
    with transaction.atomic(using=database.alias), transaction.atomic(using=database.alias):
        database.fetch("select 1")
        yield


@contextmanager
def in_failed_transaction(database: Database) -> Iterator[None]:
    with transaction.atomic(using=database.alias):
        with pytest.raises(DatabaseError):
            database.fetch("select 1 / 0")
        yield
        transaction.set_rollback(True, using=database.alias)


@contextmanager
def without_autocommit(database: Database) -> Iterator[None]:
    transaction.set_autocommit(False, using=database.alias)
    database.fetch("select 1")
    yield
    transaction.rollback(using=database.alias)
    transaction.set_autocommit(True, using=database.alias)


@contextmanager
def after_begin(database: Database) -> Iterator[None]:
    with database.connection.cursor() as cursor:
        cursor.execute("begin")
        yield
        cursor.execute("rollback")


WAYS: list[Callable[[Database], AbstractContextManager[None]]] = [
    in_atomic,
    in_savepoint,
    in_failed_transaction,
    without_autocommit,
    after_begin,
]


@MODES
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_transaction_that_does_nothing_is_reported_once_with_its_task_and_where_that_is(
    make_database: MakeDatabase,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    way: Callable[[Database], AbstractContextManager[None]],
    mode: str,
) -> None:
    monkeypatch.setattr(holder, "describe", lambda: "task shop.pay[4711]")
    database = make_database(MAX_CONNS=2, POOL_MODE=mode, IDLE_IN_TRANSACTION_WARNING_AFTER=AFTER)
    may_go_on = threading.Event()

    def ask_somebody_else() -> None:
        assert may_go_on.wait(DEADLINE)

    def pay() -> None:
        with way(database):
            ask_somebody_else()
        database.give_back()

    task = Task(pay)
    (warning,) = eventually(lambda: warnings_of(caplog, database.alias), "a warning")
    assert "task shop.pay[4711] has done nothing in its open transaction for 0." in warning
    frames = re.findall(r'File "(.*)", line \d+, in (\S+)\n *(.*)', warning)
    assert ("ask_somebody_else", "assert may_go_on.wait(DEADLINE)") in [frame[1:] for frame in frames]
    assert ("pay", "ask_somebody_else()") in [frame[1:] for frame in frames]
    # By the time that another is reported, the first would have been reported again.
    other = Task(pay)
    eventually(lambda: len(warnings_of(caplog, database.alias)) == 2, "the warning of another")
    may_go_on.set()
    task.result()
    other.result()
    assert len(warnings_of(caplog, database.alias)) == 2


@MODES
def test_each_transaction_is_reported_but_not_what_works_or_is_in_none(
    make_database: MakeDatabase, caplog: pytest.LogCaptureFixture, mode: str
) -> None:
    options = {"MAX_CONNS": 2, "POOL_MODE": mode, "IDLE_IN_TRANSACTION_WARNING_AFTER": AFTER}
    sitting, working = make_database(**options), make_database(**options)
    silent = make_database(MAX_CONNS=1, POOL_MODE=mode)
    is_over = threading.Event()

    def work() -> None:
        with transaction.atomic(using=working.alias):
            working.fetch("select pg_sleep(%s)", 3 * AFTER)  # One query takes longer than the time.
            while not is_over.is_set():
                working.fetch("select 1")
                time.sleep(AFTER / 20)
        working.fetch("select 1")
        working.give_back()

    def read_on() -> None:
        with transaction.atomic(using=working.alias), working.connection.chunked_cursor() as cursor:
            cursor.execute("select generate_series(1, 1000000)")
            while not is_over.is_set():
                assert cursor.fetchmany(1)
                time.sleep(AFTER / 20)
        working.give_back()

    def idle_outside_of_transactions() -> None:
        sitting.fetch("select 1")
        assert is_over.wait(DEADLINE)
        sitting.give_back()

    tasks = [Task(work), Task(read_on), Task(idle_outside_of_transactions)]
    with transaction.atomic(using=silent.alias):
        silent.fetch("select 1")
        for number in range(1, 4):
            with in_atomic(sitting):
                eventually(
                    lambda number=number: len(warnings_of(caplog, sitting.alias)) == number, f"{number} warnings"
                )
                sitting.fetch("select 1")  # It has been warned of, whatever it does next.
                time.sleep(2 * AFTER)
            assert len(warnings_of(caplog, sitting.alias)) == number
    is_over.set()
    for task in tasks:
        task.result()
    sitting.give_back()
    silent.give_back()
    assert warnings_of(caplog, working.alias) == []
    assert warnings_of(caplog, silent.alias) == []


def test_without_a_query_nothing_is_sent_for_the_warning(
    make_database: MakeDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    database = make_database(MAX_CONNS=1, IDLE_IN_TRANSACTION_WARNING_AFTER=AFTER)
    with in_atomic(database):
        eventually(lambda: warnings_of(caplog, database.alias), "the warning")
        ((_, state, query),) = database.sessions()
        assert (state, query) == ("idle in transaction", "select 1")
    database.give_back()
