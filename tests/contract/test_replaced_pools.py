"""Law 1 while pools replace each other: all pools of an alias together keep to the limit, whatever interrupts them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from django_geventpool import registry
from django_geventpool.errors import PoolClosed, PoolTimeout
from django_geventpool.pool import Pool, closer, predecessors, state
from django_geventpool.pool import pool as pool_module
from django_geventpool.registry import Pools
from tests.support.borrower import Borrower
from tests.support.errors_thrown import SoftLimit
from tests.support.lines import LineFault
from tests.support.pool_states import await_stats, queue_up
from tests.support.scripted import ScriptedDriver
from tests.support.waiting import eventually

from .conftest import Borrow, MakePool

FILES = tuple(Path(module.__file__) for module in (registry, predecessors, pool_module, state, closer))

Obtain = Callable[[str], Pool]


@pytest.fixture
def pools() -> Pools:
    return Pools()


@pytest.fixture
def obtain(pools: Pools, make_pool: MakePool) -> Obtain:
    """Return the pool of an alias, for a target; another one replaces the pool."""
    return lambda target: pools.obtain("test", target, lambda: make_pool(MAX_CONNS=2, CONN_WAIT_TIMEOUT=None))


def fault_at(step: int) -> LineFault:
    """Return an exception for the running greenlet or thread, at a step of the registry or the pool."""
    me = threading.get_ident()
    return LineFault(FILES, step, "line", is_meant=lambda: threading.get_ident() == me)


def settle(borrower: Borrower) -> None:
    """Wait until a borrower waits, or has a connection."""
    eventually(lambda: borrower.has_connection or borrower.pool.stats().waiting, "a request")


def test_a_pool_is_closed_before_another_takes_its_place(
    driver: ScriptedDriver, pools: Pools, obtain: Obtain, borrow: Borrow, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = obtain("target")
    holders = [borrow(old).taken()]
    close = old.close

    def close_late() -> None:
        holders.append(borrow(pools["test"]).taken())
        holders.append(borrow(old))
        settle(holders[-1])
        close()

    monkeypatch.setattr(old, "close", close_late)
    new = obtain("another")
    assert driver.peak == 2
    with pytest.raises(PoolTimeout, match="2 connections of the pool before it"):
        new.getconn(timeout=0)
    with pytest.raises(PoolClosed):
        holders.pop().taken()
    for holder in holders:
        holder.give_back()
    borrow(new).taken().give_back()
    assert driver.peak == 2


def test_a_pool_that_was_not_closed_after_all_still_counts_those_before_it(
    driver: ScriptedDriver, pools: Pools, obtain: Obtain, borrow: Borrow, monkeypatch: pytest.MonkeyPatch
) -> None:
    def be_interrupted() -> None:
        raise SoftLimit

    first = borrow(obtain("target")).taken()
    pools.close("test")
    second = borrow(obtain("target")).taken()
    with monkeypatch.context() as patch:
        patch.setattr(second.pool, "close", be_interrupted)
        with pytest.raises(SoftLimit):
            obtain("another")
    later = borrow(second.pool)
    settle(later)
    assert driver.peak == 2
    third = obtain("another")
    with pytest.raises(PoolClosed):
        later.taken()
    (waiter,) = queue_up(third, lambda: borrow(third), 1)
    first.give_back()
    waiter.taken()
    second.give_back()
    assert driver.peak == 2


def test_whatever_interrupts_the_replacing_of_a_pool_the_limit_holds(
    driver: ScriptedDriver, pools: Pools, obtain: Obtain, borrow: Borrow
) -> None:
    """The exception comes out of each line of the registry and the pool in turn."""
    steps, has_fired = 0, True
    while has_fired:
        first = borrow(obtain("target")).taken()
        pools.close("test")
        second = borrow(obtain("target")).taken()
        steps += 1
        fault = fault_at(steps)
        with contextlib.suppress(SoftLimit), fault.armed():
            obtain("another")
        has_fired = fault.has_fired
        third = obtain("another")
        assert second.pool.closed, fault.where
        with pytest.raises(PoolTimeout):
            third.getconn(timeout=0)
        first.give_back()
        borrow(third).taken().give_back()
        second.give_back()
        third.close()
        for pool in (first.pool, second.pool, third):
            await_stats(pool, size=0)
        assert driver.peak == 2, fault.where
    assert steps > 30


def test_whatever_interrupts_the_closing_of_a_pool_nobody_waits_for_ever(
    pools: Pools, obtain: Obtain, borrow: Borrow
) -> None:
    """Not even where no connection of the pool's own makes the housekeeper look now and then."""
    steps, has_fired = 0, True
    while has_fired:
        holders = [borrow(obtain("target")).taken() for _ in range(2)]
        pools.close("test")
        pool = obtain("target")
        (waiter,) = queue_up(pool, lambda pool=pool: borrow(pool), 1)
        steps += 1
        fault = fault_at(steps)
        with contextlib.suppress(SoftLimit), fault.armed():
            pools.close("test")
        has_fired = fault.has_fired
        if pool.closed:
            with pytest.raises(PoolClosed):
                waiter.taken()
        for holder in holders:
            holder.give_back()
        if not pool.closed:
            waiter.taken().give_back()
            pool.close()
        await_stats(pool, size=0, waiting=0)
    assert steps > 15
