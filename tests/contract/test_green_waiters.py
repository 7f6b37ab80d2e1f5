"""Law 4: a waiter that is killed or timed out loses no connection, no slot, and no other waiter's place."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest

from django_geventpool.errors import PoolError
from tests.support.borrower import Borrower
from tests.support.pool_states import assert_whole, await_stats, queue_up
from tests.support.scripted import ScriptedDriver
from tests.support.tasks import Interruption, Task

from .conftest import Borrow, MakePool

pytestmark = pytest.mark.frameworks("gevent", "eventlet")

HOW: list[Interruption] = ["kill", "timeout"]


@pytest.mark.parametrize("how", HOW)
def test_interrupted_waiters_cost_no_capacity(make_pool: MakePool, borrow: Borrow, how: Interruption) -> None:
    pool = make_pool(MAX_CONNS=3)
    holders = [borrow(pool).taken() for _ in range(3)]
    waiters = queue_up(pool, lambda: borrow(pool), 10)
    for waiter in waiters:
        waiter.task.interrupt(how)
    for waiter in waiters:
        waiter.task.wait()
        assert waiter.error is not None
        assert not isinstance(waiter.error, PoolError)
    assert pool.stats().waiting == 0
    for holder in holders:
        holder.give_back()
    assert_whole(pool)


@pytest.mark.parametrize("how", HOW)
def test_nobody_loses_his_place_to_an_interrupted_waiter(
    make_pool: MakePool, borrow: Borrow, how: Interruption
) -> None:
    pool = make_pool(MAX_CONNS=1)
    order: list[Borrower] = []
    holder = borrow(pool).taken()
    waiters = queue_up(pool, lambda: borrow(pool, order=order), 9)
    for waiter in waiters[::3]:
        waiter.task.interrupt(how)
    await_stats(pool, waiting=6)
    left = [waiter for number, waiter in enumerate(waiters) if number % 3]
    for waiter in left:
        waiter.tell()
    holder.give_back()
    for waiter in left:
        waiter.task.result()
    assert order == left


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("first", ["interruption", "connection"])
def test_a_connection_handed_to_a_dying_waiter_goes_to_the_next(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow, how: Interruption, first: str
) -> None:
    """The handing over and the death both happen before the waiter runs again, in either order."""
    driver.is_slow = False
    pool = make_pool(MAX_CONNS=1)
    connection = pool.getconn()
    dying, successor = queue_up(pool, lambda: borrow(pool), 2)
    if first == "interruption":
        dying.task.interrupt(how)
        pool.putconn(connection)
    else:
        pool.putconn(connection)
        dying.task.interrupt(how)
    assert pool.stats().in_use == 1, "the connection is on its way to the dying waiter"
    dying.task.wait()
    assert dying.error is not None
    successor.taken()
    assert successor.connection is connection
    successor.give_back()
    await_stats(pool, size=1, idle=1)


@pytest.mark.parametrize("how", HOW)
def test_room_for_a_connection_handed_to_a_dying_waiter_goes_to_the_next(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow, how: Interruption
) -> None:
    pool = make_pool(MAX_CONNS=1)
    holder = borrow(pool).taken()
    holder.connection.dirty = True
    dying, successor = queue_up(pool, lambda: borrow(pool), 2)
    # The connection is evicted, so that the dying waiter is given an empty slot.
    driver.script("close", lambda: dying.task.interrupt(how))
    holder.give_back()
    dying.task.wait()
    assert dying.error is not None
    successor.taken()
    assert driver.peak == 1


def test_a_connection_handed_to_a_dying_waiter_of_a_closed_pool_is_closed(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow
) -> None:
    driver.is_slow = False
    pool = make_pool(MAX_CONNS=1, CONN_IDLE_TIMEOUT=None)
    connection = pool.getconn()
    (dying,) = queue_up(pool, lambda: borrow(pool), 1)
    dying.task.interrupt()
    pool.putconn(connection)
    pool.close()
    dying.task.wait()
    await_stats(pool, size=0)
    assert not driver.live


def test_a_connection_handed_to_a_dying_waiter_is_closed_if_it_is_over_the_limit(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow
) -> None:
    driver.is_slow = False
    pool = make_pool(MAX_CONNS=2, CONN_IDLE_TIMEOUT=None)
    other = borrow(pool).taken()
    connection = pool.getconn()
    (dying,) = queue_up(pool, lambda: borrow(pool), 1)
    dying.task.interrupt()
    pool.putconn(connection)
    pool.resize(1)
    dying.task.wait()
    await_stats(pool, size=1, in_use=1)
    assert driver.live == {other.connection}


@pytest.mark.parametrize("seed", range(5))
def test_a_storm_of_kills_and_timeouts_leaves_the_pool_whole(
    driver: ScriptedDriver, make_pool: MakePool, seed: int
) -> None:
    pool = make_pool(MAX_CONNS=4)
    chance = random.Random(seed)
    running: set[int] = set()
    served: list[int] = []

    def use(number: int, timeout: float | None) -> None:
        running.add(number)
        try:
            connection: Any = pool.getconn(timeout=timeout)
            try:
                connection.dirty = number % 7 == 0
                connection.dead = number % 5 == 0
                time.sleep(0)
                served.append(number)
            finally:
                pool.putconn(connection)
        finally:
            running.discard(number)

    tasks = []
    for number in range(300):
        tasks.append(Task(use, number, chance.choice([None, 30, 0.002, 0.0])))
        if chance.random() < 0.5:
            time.sleep(0)
        if running and chance.random() < 0.3:
            tasks[chance.choice(sorted(running))].interrupt(chance.choice(HOW))
    for task in tasks:
        task.wait()
    assert served
    assert {type(task.error).__name__ for task in tasks} > {"GreenletExit", "Timeout", "PoolTimeout"}
    assert driver.peak <= 4
    assert_whole(pool)
    # Nothing was left for the victims' ends to reclaim.
    assert pool.stats().reclaimed == 0
