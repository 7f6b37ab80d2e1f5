"""Holders that wait for greenlets or threads that they started, which want a connection too: the pool warns of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as wait_for_futures
from typing import Any

import pytest

from django_geventpool.errors import PoolTimeout
from django_geventpool.pool import Pool, nested
from django_geventpool.pool import holder as holders
from tests.support import inside
from tests.support.fan_out import WAYS, Work, in_threads
from tests.support.pool_states import assert_whole, await_stats
from tests.support.scripted import ScriptedConnection
from tests.support.tasks import Task
from tests.support.waiting import eventually

from .conftest import Borrow, MakePool

FanOut = Callable[[Work, int], Any]


class Labels:
    """The labels of tasks."""

    def __init__(self) -> None:
        self._by_ident: dict[int, str] = {}

    def set(self, label: str) -> None:
        self._by_ident[threading.get_ident()] = label

    def get(self) -> str | None:
        return self._by_ident.get(threading.get_ident())


@pytest.fixture
def labels(monkeypatch: pytest.MonkeyPatch) -> Labels:
    labels = Labels()
    monkeypatch.setattr(holders, "describe", labels.get)
    return labels


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[nested.Standstill | None]:
    """The results of the pool's looks at who waits for whom."""
    found: list[nested.Standstill | None] = []
    judge = nested.Nested.judge

    def note(self: nested.Nested, scene: nested.Scene) -> nested.Standstill | None:
        found.append(judge(self, scene))
        return found[-1]

    monkeypatch.setattr(nested.Nested, "judge", note)
    return found


def standstills(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "stands still" in record.getMessage()]


def use(pool: Pool) -> None:
    pool.putconn(pool.getconn())


def start_nested(pool: Pool, labels: Labels, fan_out: FanOut, count: int, children: int = 2) -> list[Task[None]]:
    """Start tasks that take a connection, and keep it while greenlets or threads that they start take one."""

    all_held = threading.Event()

    def work(number: int) -> None:
        labels.set(f"task shop.tasks.index[{number}]")
        connection = pool.getconn()
        try:
            assert all_held.wait(30)
            fan_out(lambda: use(pool), children)
        finally:
            pool.putconn(connection)

    tasks = [Task(work, number) for number in range(count)]
    await_stats(pool, in_use=pool.options.MAX_CONNS)
    all_held.set()
    return tasks


@pytest.mark.parametrize("fan_out", WAYS)
def test_a_standstill_is_said_once_with_the_ways_out(
    make_pool: MakePool, labels: Labels, caplog: pytest.LogCaptureFixture, fan_out: FanOut
) -> None:
    pool = make_pool(MAX_CONNS=2, CONN_WAIT_TIMEOUT=None)
    tasks = start_nested(pool, labels, fan_out, count=2)
    (text,) = eventually(lambda: standstills(caplog), "a warning")
    assert text == (
        'Pool "test" stands still: all 2 connections are held by tasks that are in no query and wait for greenlets or '
        "threads of their own, which wait for a connection themselves: task shop.tasks.index (2). Three ways out: set "
        'POOL_MODE to "transaction", which keeps no connection between queries; give the connection back before you '
        "wait for greenlets or threads, with close_connection around the queries before; or set MAX_CONNS to 3 or "
        "more, for as many such tasks as now."
    )
    # The advice of the warning helps.
    pool.resize(3)
    for task in tasks:
        task.result()
    assert_whole(pool)
    assert len(standstills(caplog)) == 1


def test_it_is_noticed_within_a_second(
    make_pool: MakePool, labels: Labels, looks: list[nested.Standstill | None]
) -> None:
    pool = make_pool(MAX_CONNS=2, CONN_WAIT_TIMEOUT=None)
    tasks = start_nested(pool, labels, in_threads, count=2)
    await_stats(pool, in_use=2, waiting=4)
    began = time.monotonic()
    found = eventually(lambda: [standstill for standstill in looks if standstill is not None], "a standstill")
    assert found[0].seen - began < 1 + 1  # The second second is for slow machines.
    assert len(looks) >= 2
    pool.resize(4)
    for task in tasks:
        task.result()


def test_those_that_have_nothing_yet_count_for_the_limit_that_is_needed(
    make_pool: MakePool, labels: Labels, caplog: pytest.LogCaptureFixture
) -> None:
    pool = make_pool(MAX_CONNS=2, CONN_WAIT_TIMEOUT=None)
    tasks = start_nested(pool, labels, in_threads, count=6)
    await_stats(pool, in_use=2, waiting=4 + 4)
    (text,) = eventually(lambda: standstills(caplog), "a warning")
    assert "MAX_CONNS to 7 or more" in text
    pool.resize(7)
    for task in tasks:
        task.result()
    assert pool.stats().timeouts == 0


def test_a_pool_of_one_stands_still_too(make_pool: MakePool, labels: Labels, caplog: pytest.LogCaptureFixture) -> None:
    pool = make_pool(MAX_CONNS=1, CONN_WAIT_TIMEOUT=None, POOL_MODE="transaction")
    (task,) = start_nested(pool, labels, in_threads, count=1)
    (text,) = eventually(lambda: standstills(caplog), "a warning")
    assert "the only connection is held by a task that is in no query and waits for greenlets" in text
    assert "Two ways out: end the atomic block, cursor or pin that keeps a connection before you wait" in text
    pool.resize(2)
    task.result()


def test_timeouts_say_so(make_pool: MakePool, labels: Labels) -> None:
    """All waiters that time out in a standstill are told."""
    pool = make_pool(MAX_CONNS=2, CONN_WAIT_TIMEOUT=1.5)
    tasks = start_nested(pool, labels, _in_tasks, count=4)
    for task in tasks:
        task.wait()
    # When the first have given up, the last may still get a connection in time.
    assert all(task.error is None or isinstance(task.error, PoolTimeout) for task in tasks)
    errors = [str(task.error) for task in tasks if task.error is not None]
    assert len(errors) >= 2
    assert all("task shop.tasks.index (2). Three ways out" in error for error in errors), errors
    assert not any("Hold connections for less time" in error for error in errors)


def _in_tasks(work: Work, count: int) -> None:
    """Start tasks; if one fails, their starter does."""
    tasks = [Task(work) for _ in range(count)]
    threads = [task.greenlet for task in tasks]
    for task in tasks:
        task.result()
    del threads


def test_a_timeout_says_who_above_has_a_connection(make_pool: MakePool, labels: Labels, framework: str) -> None:
    """Even if the pool had no time to look, or others hold connections for good reasons."""
    pool = make_pool(MAX_CONNS=2, CONN_WAIT_TIMEOUT=0)
    other = pool.getconn()

    def work() -> None:
        labels.set("task shop.tasks.index[1]")
        connection = pool.getconn()
        try:
            _in_tasks(lambda: pool.getconn(), 1)
        finally:
            pool.putconn(connection)

    with pytest.raises(PoolTimeout) as caught:
        Task(work).result()
    pool.putconn(other)
    says_so = (
        "task shop.tasks.index[1] holds a connection already and asks for another, itself or in a greenlet or thread"
    )
    # Python doesn't know who started a thread.
    assert (says_so in str(caught.value)) == (framework != "threads")


def test_who_asks_twice_is_told_so(make_pool: MakePool) -> None:
    pool = make_pool(MAX_CONNS=1, CONN_WAIT_TIMEOUT=0)
    connection = pool.getconn()
    with pytest.raises(PoolTimeout, match="holds a connection already and asks for another"):
        pool.getconn()
    pool.putconn(connection)


def test_threads_of_an_executor_that_many_share_belong_to_who_waits_for_them(
    make_pool: MakePool, labels: Labels, caplog: pytest.LogCaptureFixture
) -> None:
    """Whichever task has started them."""
    pool = make_pool(MAX_CONNS=2, CONN_WAIT_TIMEOUT=None)
    with ThreadPoolExecutor(4) as executor:
        Task(lambda: wait_for_futures([executor.submit(time.sleep, 0) for _ in range(50)])).result()

        def by_shared_executor(work: Work, count: int) -> None:
            for future in [executor.submit(work) for _ in range(count)]:
                future.result()

        tasks = start_nested(pool, labels, by_shared_executor, count=2)
        eventually(lambda: standstills(caplog), "a warning")
        pool.resize(4)
        for task in tasks:
            task.result()


def test_threads_belong_to_who_waits_for_them_whoever_has_started_them(
    make_pool: MakePool, labels: Labels, caplog: pytest.LogCaptureFixture
) -> None:
    """Even if it isn't known any more who that was."""
    pool = make_pool(MAX_CONNS=2, CONN_WAIT_TIMEOUT=None)

    def by_another(work: Work, count: int) -> None:
        threads = [threading.Thread(target=work) for _ in range(count)]
        starter = Task(lambda: [thread.start() for thread in threads])
        starter.wait()
        del starter
        for thread in threads:
            thread.join()

    tasks = start_nested(pool, labels, by_another, count=2)
    (text,) = eventually(lambda: standstills(caplog), "a warning")
    assert "MAX_CONNS to 3 or more" in text
    pool.resize(3)
    for task in tasks:
        task.result()


# What is no standstill


def test_holders_that_work_elsewhere_are_none(
    make_pool: MakePool,
    borrow: Borrow,
    labels: Labels,
    looks: list[nested.Standstill | None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    pool = make_pool(MAX_CONNS=2, CONN_WAIT_TIMEOUT=None)
    borrowers = [borrow(pool) for _ in range(10)]
    await_stats(pool, in_use=2, waiting=8)
    eventually(lambda: len(looks) >= 3, "three looks")
    assert set(looks) == {None}
    assert standstills(caplog) == []
    for borrower in borrowers:
        borrower.tell()


def test_holders_whose_own_threads_want_no_connection_are_none(
    make_pool: MakePool, borrow: Borrow, labels: Labels, looks: list[nested.Standstill | None]
) -> None:
    pool = make_pool(MAX_CONNS=1, CONN_WAIT_TIMEOUT=None)
    done = threading.Event()

    def work() -> None:
        connection = pool.getconn()
        in_threads(done.wait, 3)
        pool.putconn(connection)

    task = Task(work)
    await_stats(pool, in_use=1)
    waiter = borrow(pool)
    eventually(lambda: len(looks) >= 3, "three looks")
    assert set(looks) == {None}
    done.set()
    task.result()
    waiter.tell()


@pytest.mark.parametrize("who_helps", ["in a query", "elsewhere"])
def test_one_holder_that_will_give_back_is_enough(
    make_pool: MakePool,
    borrow: Borrow,
    labels: Labels,
    looks: list[nested.Standstill | None],
    who_helps: str,
) -> None:
    pool = make_pool(MAX_CONNS=2, CONN_WAIT_TIMEOUT=None)
    helper = borrow(pool).taken()
    assert isinstance(helper.connection, ScriptedConnection)
    helper.connection.is_active = who_helps == "in a query"
    (task,) = start_nested(pool, labels, in_threads, count=1)
    await_stats(pool, in_use=2, waiting=2)
    eventually(lambda: len(looks) >= 3, "three looks")
    assert set(looks) == {None}
    helper.give_back()
    task.result()
    assert_whole(pool)


def test_a_holder_in_a_query_is_none_whoever_waits(
    make_pool: MakePool, labels: Labels, looks: list[nested.Standstill | None]
) -> None:
    pool = make_pool(MAX_CONNS=1, CONN_WAIT_TIMEOUT=None)
    (task,) = start_nested(pool, labels, in_threads, count=1)
    await_stats(pool, in_use=1, waiting=2)
    (slot,) = inside.slots(pool)
    slot.connection.is_active = True
    eventually(lambda: len(looks) >= 3, "three looks")
    assert looks[-1] is None
    pool.resize(2)
    task.result()


def test_nobody_looks_while_nobody_waits(
    make_pool: MakePool, borrow: Borrow, labels: Labels, looks: list[nested.Standstill | None]
) -> None:
    pool = make_pool(MAX_CONNS=1, CONN_IDLE_TIMEOUT=None, CONN_MAX_LIFETIME=None)
    borrow(pool).taken()
    inside.keep_house(pool)
    assert inside.next_alarm(pool) == float("inf")
    assert looks == []
