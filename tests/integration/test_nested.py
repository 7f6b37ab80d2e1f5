"""Tasks that query, and then wait for greenlets or threads that they start, which query too."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections, transaction

from django_geventpool.errors import PoolTimeout
from django_geventpool.pool import holder
from django_geventpool.utils import close_connection
from tests.support import inside
from tests.support.database import Database
from tests.support.fan_out import WAYS, Work, in_threads
from tests.support.tasks import Task, results
from tests.support.waiting import eventually
from tests.testapp.models import Item

from .conftest import MakeDatabase

#: How many tasks run at a time.
CROWD = 6


@pytest.fixture(autouse=True)
def named_tasks(monkeypatch: pytest.MonkeyPatch) -> dict[int, str]:
    """Tell the pool which task asks, as the worker side does; greenlets and threads that a task starts have no task."""
    names: dict[int, str] = {}
    monkeypatch.setattr(holder, "describe", lambda: names.get(threading.get_ident()))
    return names


def standstills(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "stands still" in record.getMessage()]


def index_page(database: Database) -> None:
    """Query, as the greenlets and threads of tasks do."""
    try:
        Item.objects.using(database.alias).count()
    finally:
        connections[database.alias].close()


def start_tasks(
    database: Database,
    names: dict[int, str],
    before: Callable[[], object],
    fan_out: Callable[[Work, int], Any] = in_threads,
    around: Callable[[], Any] = close_connection,
    *,
    may_hold: bool = True,
) -> list[Task[None]]:
    """Start more tasks than there are connections, each of which queries, and then lets greenlets or threads query."""

    all_held = threading.Event()

    def work(number: int) -> None:
        names[threading.get_ident()] = f"task shop.tasks.index[{number}]"
        try:
            with around():
                before()
                assert all_held.wait(30)
                fan_out(lambda: index_page(database), 2)
        finally:
            names.pop(threading.get_ident())
            connections[database.alias].close()

    tasks = [Task(work, number) for number in range(CROWD)]
    if may_hold:
        eventually(lambda: database.stats().in_use == database.limit, "all connections held")
    all_held.set()
    return tasks


@pytest.mark.parametrize("fan_out", WAYS)
def test_a_standstill_in_mode_session_is_said_and_a_higher_limit_ends_it(
    make_database: MakeDatabase,
    schema: None,
    named_tasks: dict[int, str],
    caplog: pytest.LogCaptureFixture,
    fan_out: Callable[[Work, int], Any],
) -> None:
    database = make_database(MAX_CONNS=2, CONN_WAIT_TIMEOUT=60, role_limit=20)
    items = Item.objects.using(database.alias)
    tasks = start_tasks(database, named_tasks, items.count, fan_out)
    (text,) = eventually(lambda: standstills(caplog), "a warning")
    assert f'Pool "{database.alias}" stands still: all 2 connections' in text
    assert "task shop.tasks.index (2). Three ways out" in text
    assert "MAX_CONNS to 7 or more" in text
    database.pool.resize(7)
    results(tasks)
    assert database.stats().timeouts == 0


def test_timeouts_say_how_it_came(make_database: MakeDatabase, schema: None, named_tasks: dict[int, str]) -> None:
    database = make_database(MAX_CONNS=2, CONN_WAIT_TIMEOUT=2)
    errors: list[str] = []

    def fan_out(_work: Work, count: int) -> None:
        def work() -> None:
            try:
                index_page(database)
            except PoolTimeout as error:
                errors.append(str(error))

        in_threads(work, count)

    tasks = start_tasks(database, named_tasks, Item.objects.using(database.alias).count, fan_out)
    for task in tasks:
        task.wait()
    assert len(errors) >= 4
    assert all("task shop.tasks.index (2). Three ways out" in error for error in errors[:4]), errors
    database.assert_whole()


@pytest.mark.parametrize("way", ["mode", "close_connection", "limit"])
def test_each_way_out_is_one(
    make_database: MakeDatabase,
    schema: None,
    named_tasks: dict[int, str],
    caplog: pytest.LogCaptureFixture,
    way: str,
) -> None:
    changed = {"mode": {"POOL_MODE": "transaction"}, "limit": {"MAX_CONNS": 7}}.get(way, {})
    database = make_database(**{"MAX_CONNS": 2, "CONN_WAIT_TIMEOUT": 60, **changed})
    items = Item.objects.using(database.alias)
    before = close_connection(items.count) if way == "close_connection" else items.count
    results(start_tasks(database, named_tasks, before, may_hold=False))
    database.assert_whole()
    assert standstills(caplog) == []


def test_an_atomic_block_around_both_stands_still_in_mode_transaction(
    make_database: MakeDatabase, schema: None, named_tasks: dict[int, str], caplog: pytest.LogCaptureFixture
) -> None:
    database = make_database(MAX_CONNS=2, CONN_WAIT_TIMEOUT=60, POOL_MODE="transaction", role_limit=20)
    items = Item.objects.using(database.alias)
    tasks = start_tasks(database, named_tasks, items.count, around=lambda: transaction.atomic(using=database.alias))
    (text,) = eventually(lambda: standstills(caplog), "a warning")
    assert "Two ways out: end the atomic block" in text
    database.pool.resize(7)
    results(tasks)


def test_tasks_that_are_slow_elsewhere_are_no_standstill(
    make_database: MakeDatabase, schema: None, named_tasks: dict[int, str], caplog: pytest.LogCaptureFixture
) -> None:
    database = make_database(MAX_CONNS=2, CONN_WAIT_TIMEOUT=60)
    done = threading.Event()
    looks: list[object] = []
    nested = inside.standstill_alarm(database.pool)
    judge = nested.judge
    nested.judge = lambda scene: looks.append(judge(scene))  # type: ignore[method-assign,assignment,func-returns-value]
    tasks = start_tasks(
        database, named_tasks, Item.objects.using(database.alias).count, fan_out=lambda _work, _count: done.wait()
    )
    eventually(lambda: len(looks) >= 4, "four looks")
    assert set(looks) == {None}
    done.set()
    results(tasks)
    assert standstills(caplog) == []
