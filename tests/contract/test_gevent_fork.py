"""Law 11 for greenlets: gevent's go on in the forked child, and must not touch the parent's connections."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.support import inside
from tests.support.forks import in_child
from tests.support.pool_states import assert_whole, await_stats, queue_up
from tests.support.scripted import ScriptedDriver

from .conftest import Borrow, MakePool

pytestmark = pytest.mark.frameworks("gevent")


def let_others_run() -> None:
    for _ in range(20):
        time.sleep(0.001)


def test_a_close_that_was_about_to_start_is_the_parents(driver: ScriptedDriver, make_pool: MakePool) -> None:
    driver.is_slow = False
    pool = make_pool(MAX_CONNS=1)
    connection = pool.getconn()
    connection.dirty = True
    pool.putconn(connection)
    assert pool.stats().closing == 1

    def look() -> Any:
        let_others_run()
        return [driver.count("close"), pool.stats().closing]

    assert in_child(look) == [0, 1]
    await_stats(pool, size=0)
    assert connection.closed == 1


def test_the_housekeeper_of_the_parent_does_nothing_in_the_child(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow
) -> None:
    pool = make_pool(MAX_CONNS=2, CONN_IDLE_TIMEOUT=60)
    abandoned = borrow(pool).taken()
    borrow(pool).taken().give_back()
    pool.options = inside.state(pool).options = type(pool.options)(MAX_CONNS=2, CONN_IDLE_TIMEOUT=0)

    def look() -> Any:
        abandoned.gives_back = False
        abandoned.tell()
        inside.housekeeper(pool).wake()
        let_others_run()
        return [abandoned.task.ended, driver.count("close"), pool.stats().idle, pool.stats().reclaimed]

    assert in_child(look) == [True, 0, 1, 0]
    abandoned.give_back()
    await_stats(pool, in_use=0, reclaimed=0)


def test_a_greenlet_that_gives_back_in_the_child_gives_nothing_back(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow
) -> None:
    pool = make_pool(MAX_CONNS=1)
    holder = borrow(pool).taken()
    (waiter,) = queue_up(pool, lambda: borrow(pool), 1)

    def look() -> Any:
        holder.tell()
        let_others_run()
        return [holder.task.ended, waiter.has_connection, driver.count("reset")]

    assert in_child(look) == [True, False, 0]
    holder.give_back()
    waiter.taken().give_back()
    assert_whole(pool)
