"""Closing and resizing a pool that is at work."""

from __future__ import annotations

import threading

import pytest
from django.db import OperationalError

from django_geventpool.errors import InvalidOption, PoolClosed, PoolTimeout
from django_geventpool.pool import Pool
from django_geventpool.registry import Pools
from tests.support import inside
from tests.support.pool_states import assert_whole, await_stats, queue_up
from tests.support.scripted import ScriptedDriver
from tests.support.tasks import Task
from tests.support.waiting import eventually

from .conftest import Borrow, MakePool


def test_close_closes_the_idle_connections_before_it_returns(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow
) -> None:
    pool = make_pool(MAX_CONNS=3)
    for borrower in [borrow(pool).taken() for _ in range(3)]:
        borrower.give_back()
    pool.close()
    assert not driver.live
    assert pool.stats().size == 0
    assert pool.closed
    assert "closed" in repr(pool)


def test_close_does_not_wait_for_ever_for_a_server_that_is_silent(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow
) -> None:
    pool = make_pool(MAX_CONNS=3)
    for borrower in [borrow(pool).taken() for _ in range(3)]:
        borrower.give_back()
    answer = threading.Event()
    driver.script("close", None, answer.wait)
    pool.close(timeout=0.1)
    # The other connections are closed without waiting for this one.
    await_stats(pool, size=1, closing=1)
    answer.set()
    await_stats(pool, size=0)
    assert not driver.live


def test_close_sends_the_waiters_away(make_pool: MakePool, borrow: Borrow) -> None:
    pool = make_pool(MAX_CONNS=1, CONN_WAIT_TIMEOUT=None)
    borrow(pool).taken()
    waiters = queue_up(pool, lambda: borrow(pool), 5)
    pool.close()
    for waiter in waiters:
        with pytest.raises(PoolClosed) as caught:
            waiter.taken()
        assert isinstance(caught.value, OperationalError)
    assert pool.stats().waiting == 0


def test_close_leaves_those_at_work_alone_until_they_give_back(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow
) -> None:
    pool = make_pool(MAX_CONNS=2)
    borrowers = [borrow(pool).taken(), borrow(pool).taken()]
    pool.close()
    assert len(driver.live) == 2
    for borrower in borrowers:
        borrower.give_back()
    await_stats(pool, size=0)
    assert not driver.live


def test_a_connection_that_is_opened_while_the_pool_is_closed_is_closed_when_it_comes_back(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow
) -> None:
    pool = make_pool(MAX_CONNS=1)
    arrived, answer = threading.Event(), threading.Event()
    driver.script("opened", lambda: (arrived.set(), answer.wait()))
    borrower = borrow(pool)
    assert arrived.wait(30)
    pool.close()
    answer.set()
    borrower.taken().give_back()
    await_stats(pool, size=0)
    assert not driver.live


def test_a_closed_pool_lends_no_more(driver: ScriptedDriver, make_pool: MakePool) -> None:
    pool = make_pool()
    pool.close()
    pool.close()
    with pytest.raises(PoolClosed, match='Pool "test" is closed'):
        pool.getconn()
    assert driver.count("connect") == 0


def test_a_closed_pool_leaves_no_housekeeper_behind(make_pool: MakePool, borrow: Borrow) -> None:
    pool = make_pool(MAX_CONNS=2, CONN_IDLE_TIMEOUT=None)
    ended = threading.Event()
    inside.when_housekeeper_ends(pool, ended.set)
    borrower = borrow(pool).taken()
    pool.close()
    assert not ended.is_set()
    borrower.give_back()
    eventually(ended.is_set, "the housekeeper's end")


def test_a_larger_limit_serves_waiters_at_once(make_pool: MakePool, borrow: Borrow, driver: ScriptedDriver) -> None:
    pool = make_pool(MAX_CONNS=1)
    borrow(pool).taken()
    waiters = queue_up(pool, lambda: borrow(pool), 4)
    pool.resize(3)
    waiters[0].taken()
    waiters[1].taken()
    assert await_stats(pool, limit=3, in_use=3, waiting=2)
    assert not waiters[2].has_connection
    assert driver.peak == 3


def test_a_larger_limit_keeps_as_many_idle_connections(
    make_pool: MakePool, borrow: Borrow, driver: ScriptedDriver
) -> None:
    pool = make_pool(MAX_CONNS=1)
    pool.resize(4)
    for borrower in [borrow(pool).taken() for _ in range(4)]:
        borrower.give_back()
    await_stats(pool, idle=4)
    assert driver.count("close") == 0


def test_a_smaller_limit_closes_idle_connections_at_once(
    make_pool: MakePool, borrow: Borrow, driver: ScriptedDriver
) -> None:
    pool = make_pool(MAX_CONNS=4)
    for borrower in [borrow(pool).taken() for _ in range(4)]:
        borrower.give_back()
    pool.resize(1)
    await_stats(pool, size=1, idle=1)
    assert len(driver.live) == 1
    assert_whole(pool)


def test_a_smaller_limit_is_reached_as_connections_come_back(
    make_pool: MakePool, borrow: Borrow, driver: ScriptedDriver
) -> None:
    pool = make_pool(MAX_CONNS=3)
    holders = [borrow(pool).taken() for _ in range(3)]
    waiters = queue_up(pool, lambda: borrow(pool), 3)
    pool.resize(1)
    for holder in holders[:2]:
        holder.give_back()
    await_stats(pool, size=1, in_use=1, waiting=3)
    assert driver.live == {holders[2].connection}
    holders[2].give_back()
    assert waiters[0].taken().connection is holders[2].connection
    assert await_stats(pool, size=1, waiting=2)


@pytest.mark.parametrize("limit", [0, -1, True, 2.0, "3", None, 1])
def test_a_limit_that_is_none_is_refused_and_changes_nothing(make_pool: MakePool, limit: object) -> None:
    pool = make_pool(MAX_CONNS=4, MIN_CONNS=2)
    with pytest.raises(InvalidOption, match="MAX_CONNS"):
        pool.resize(limit)  # type: ignore[arg-type]
    assert pool.stats().limit == 4
    assert pool.options.MAX_CONNS == 4


def test_resizing_again_and_again_at_work_never_passes_the_limit(driver: ScriptedDriver, make_pool: MakePool) -> None:
    pool = make_pool(MAX_CONNS=2)

    def use() -> None:
        for _ in range(5):
            pool.putconn(pool.getconn())

    tasks = [Task(use) for _ in range(40)]
    for limit in (5, 1, 4, 2, 3):
        pool.resize(limit)
        eventually(lambda limit=limit: pool.stats().size <= limit, "no more than the limit")
    for task in tasks:
        task.result()
    assert driver.peak <= 5
    assert_whole(pool)


def test_a_pool_that_takes_the_place_of_a_closed_one_counts_its_connections(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow
) -> None:
    """Law 1: connections count on the server, whichever pool has opened them."""
    pools = Pools()

    def obtain() -> Pool:
        return pools.obtain("test", "target", lambda: make_pool(MAX_CONNS=2))

    held = [borrow(obtain()).taken() for _ in range(2)]
    pools.close("test")
    second = obtain()
    assert second.stats().size == 0
    with pytest.raises(PoolTimeout, match=r"2 connections of the pool before it, which was closed, are still open"):
        second.getconn(timeout=0)
    waiters = queue_up(second, lambda: borrow(second), 2)
    # A pool without connections is closed: its predecessors still count for its successors.
    pools.close("test")
    for waiter in waiters:
        with pytest.raises(PoolClosed):
            waiter.taken()
    third = obtain()
    (first_waiter, second_waiter) = queue_up(third, lambda: borrow(third), 2)
    held[0].give_back()
    first_waiter.taken()
    assert third.stats().waiting == 1
    held[1].give_back()
    second_waiter.taken()
    assert driver.peak == 2


def test_pools_that_were_closed_are_forgotten_when_nothing_is_left_of_them(make_pool: MakePool) -> None:
    pools = Pools()
    for _ in range(1500):
        pool = pools.obtain("test", "target", lambda: make_pool(MAX_CONNS=2))
        connection = pool.getconn()
        pools.close("test")
        pool.putconn(connection)
    pool = pools.obtain("test", "target", lambda: make_pool(MAX_CONNS=2))
    pool.putconn(pool.getconn())
    assert inside.count_of_predecessors(pool) <= 2
    assert_whole(pool)


def test_a_smaller_limit_holds_for_a_pool_and_those_before_it(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow
) -> None:
    pools = Pools()

    def obtain() -> Pool:
        return pools.obtain("test", "target", lambda: make_pool(MAX_CONNS=4))

    predecessor = borrow(obtain()).taken()
    pools.close("test")
    pool = obtain()
    for borrower in [borrow(pool).taken() for _ in range(3)]:
        borrower.give_back()
    pool.resize(2)
    await_stats(pool, size=1, idle=1)
    assert len(driver.live) == 2
    predecessor.give_back()
