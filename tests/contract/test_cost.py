"""Law 12: the cost of a checkout does not grow with the number of waiters, holders or idle connections."""

from __future__ import annotations

import gc
import math
import sys
import threading
import tracemalloc
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from django_geventpool.pool import Pool
from tests.support import inside
from tests.support.pool_states import await_stats
from tests.support.scripted import ScriptedDriver
from tests.support.tasks import Task
from tests.support.waiting import eventually

from .conftest import Borrow, MakePool

#: Whether the housekeeper is woken makes a small difference; a step for each of 200 waiters would make a large one.
SLACK = 40


def operations(function: Callable[[], object]) -> int:
    """Return how many lines of Python and calls of C functions a function runs in this thread or greenlet."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += 1
        return trace

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        count += event == "c_call"

    previous = sys.gettrace(), sys.getprofile()
    gc.disable()
    sys.setprofile(profile)
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(previous[0])
        sys.setprofile(previous[1])
        gc.enable()
    return count


def with_waiters(pool: Pool, borrow: Borrow, count: int, function: Callable[[], object]) -> int:
    """Return the operations of a function while a number of borrowers wait."""
    before = pool.stats().waiting
    waiters = [borrow(pool) for _ in range(count - before)]
    await_stats(pool, waiting=count)
    assert len(waiters) == count - before
    return operations(function)


def test_the_operations_are_counted() -> None:
    """Loops in Python, and calls into C."""
    few, many = (operations(lambda length=length: [len(str(n)) for n in range(length)]) for length in (10, 100))
    assert many > few + 90


def test_a_handoff_costs_the_same_with_many_waiters(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow
) -> None:
    driver.is_slow = False
    pool = make_pool(MAX_CONNS=2, CONN_WAIT_TIMEOUT=None)
    # Now and then, giving back asks whether the server is full, which isn't measured here.
    inside.probe_full_server_at(pool, math.inf)
    connections = [pool.getconn(), pool.getconn()]
    few = with_waiters(pool, borrow, 2, lambda: pool.putconn(connections[0]))
    many = with_waiters(pool, borrow, 200, lambda: pool.putconn(connections[1]))
    assert few > 20
    assert many <= few + SLACK


def test_asking_costs_the_same_with_many_waiters(driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow) -> None:
    driver.is_slow = False
    pool = make_pool(MAX_CONNS=1, CONN_WAIT_TIMEOUT=None)
    connection = pool.getconn()

    def ask() -> None:
        from django_geventpool.errors import PoolTimeout

        with pytest.raises(PoolTimeout):
            pool.getconn(timeout=0)

    operations(ask)
    few = with_waiters(pool, borrow, 2, ask)
    many = with_waiters(pool, borrow, 200, ask)
    assert many <= few + SLACK
    pool.putconn(connection)


@pytest.mark.parametrize("kind", ["lent", "idle"])
def test_a_checkout_costs_the_same_beside_many_connections(
    driver: ScriptedDriver, make_pool: MakePool, kind: str
) -> None:
    driver.is_slow = False
    pool = make_pool(MAX_CONNS=500)

    def use() -> None:
        pool.putconn(pool.getconn())

    use()
    few = operations(use)
    connections = [pool.getconn() for _ in range(400)]
    if kind == "idle":
        for connection in connections:
            pool.putconn(connection)
    else:
        pool.putconn(connections.pop())
    assert getattr(pool.stats(), "idle" if kind == "idle" else "in_use") >= 399
    assert operations(use) <= few + SLACK
    if kind == "lent":
        for connection in connections:
            pool.putconn(connection)


def waiting_memory(wait: Callable[[], object], is_waiting: Callable[[int], bool], end: Callable[[], object]) -> float:
    """Return the bytes of memory that each of many waiting tasks takes."""
    count = 200
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tasks = [Task(wait) for _ in range(count)]
        at_hand = [task.greenlet for task in tasks]
        eventually(lambda: is_waiting(count), "all tasks waiting")
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        del at_hand
    finally:
        tracemalloc.stop()
    end()
    for task in tasks:
        task.result()
    return (after - before) / count


def test_a_waiter_takes_no_more_than_a_few_kib(
    driver: ScriptedDriver, make_pool: MakePool, caplog: pytest.LogCaptureFixture
) -> None:
    """In addition to what a task that waits at a bare lock takes.

    That is so even after the pool has looked at who waits for whom: for each frame that it looks at, Python keeps an
    object.
    """
    entered: list[object] = []
    gate = threading.Lock()
    gate.acquire()

    def wait_for_lock() -> None:
        entered.append(None)
        with gate:
            pass

    bare = waiting_memory(wait_for_lock, lambda count: len(entered) == count, gate.release)
    pool = make_pool(MAX_CONNS=1, CONN_WAIT_TIMEOUT=None)
    connection = pool.getconn()
    pooled = waiting_memory(
        lambda: pool.putconn(pool.getconn()),
        lambda count: pool.stats().waiting == count and "stands still" in caplog.text,
        lambda: pool.putconn(connection),
    )
    print(f"a waiting task takes {bare:.0f} bytes, one that waits for a connection {pooled:.0f}")
    # Python 3.10 makes an object for each frame. Most is 2.3 KB, under eventlet with Python 3.12.
    assert pooled - bare <= (2560 if sys.version_info >= (3, 11) else 4096)
