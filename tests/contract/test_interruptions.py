"""Law 5: whatever exception comes out of whatever step, no slot and no connection is lost."""

from __future__ import annotations

import pytest

from tests.support.interruptions import interruptions, quiet_interruption
from tests.support.pool_states import assert_whole, await_stats, queue_up
from tests.support.scripted import ScriptedDriver, ScriptedError, Step
from tests.support.tasks import Task

from .conftest import Borrow, MakePool

INTERRUPTIONS = interruptions()
names = pytest.mark.parametrize("error", INTERRUPTIONS, ids=lambda error: type(error).__name__)


@names
@pytest.mark.parametrize("step", ["connect", "opened"])
def test_out_of_connecting(driver: ScriptedDriver, make_pool: MakePool, step: Step, error: BaseException) -> None:
    pool = make_pool(MAX_CONNS=2)
    driver.script(step, error, error, error)
    for _ in range(3):
        task = Task(pool.getconn)
        task.wait()
        assert task.error is error
    await_stats(pool, size=0)
    assert not driver.live
    # Nothing was left for the holders' ends to reclaim.
    assert pool.stats().reclaimed == 0
    assert_whole(pool)


@names
def test_out_of_the_look_at_an_idle_connection(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow, error: BaseException
) -> None:
    pool = make_pool(MAX_CONNS=1)
    borrow(pool).taken().give_back()
    driver.script("is_alive", error)
    task = Task(pool.getconn)
    task.wait()
    assert task.error is error
    await_stats(pool, size=0, reclaimed=0)
    assert not driver.live
    assert_whole(pool)


@names
def test_out_of_the_closing_of_a_lost_connection(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow, error: BaseException
) -> None:
    pool = make_pool(MAX_CONNS=1)
    first = borrow(pool).taken()
    first.give_back()
    first.connection.dead = True
    driver.script("close", error)
    task = Task(pool.getconn)
    task.wait()
    assert task.error is error
    await_stats(pool, size=0, reclaimed=0)
    assert first.connection.closed
    assert_whole(pool)
    assert driver.peak == 1


@names
def test_out_of_cleaning(driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow, error: BaseException) -> None:
    pool = make_pool(MAX_CONNS=1)
    holder = borrow(pool).taken()
    (waiter,) = queue_up(pool, lambda: borrow(pool), 1)
    driver.script("reset", error)
    holder.tell()
    holder.task.wait()
    assert holder.error is error
    assert waiter.taken().connection is not holder.connection
    assert holder.connection.closed
    assert driver.peak == 1
    assert pool.stats().reclaimed == 0


def test_out_of_a_close_in_the_background(driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow) -> None:
    pool = make_pool(MAX_CONNS=1)
    holder = borrow(pool).taken()
    holder.connection.dirty = True
    driver.script("close", quiet_interruption(), quiet_interruption())
    holder.give_back()
    waiter = borrow(pool).taken()
    assert holder.connection.closed == 1
    assert driver.live == {waiter.connection}
    assert driver.peak == 1


def test_out_of_a_close_while_the_pool_is_closed(driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow) -> None:
    pool = make_pool(MAX_CONNS=4, CONN_IDLE_TIMEOUT=None)
    for borrower in [borrow(pool).taken() for _ in range(4)]:
        borrower.give_back()
    driver.script("close", None, quiet_interruption())
    Task(pool.close).result()
    await_stats(pool, size=0)
    assert not driver.live


def test_an_error_of_cleaning_is_not_the_givers_business(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow
) -> None:
    pool = make_pool(MAX_CONNS=1)
    holder = borrow(pool).taken()
    driver.script("reset", ScriptedError("gone"))
    holder.give_back()
    await_stats(pool, size=0)
    assert holder.connection.closed
    assert_whole(pool)


def test_an_error_of_closing_frees_the_slot(driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow) -> None:
    pool = make_pool(MAX_CONNS=1)
    holder = borrow(pool).taken()
    holder.connection.dirty = True
    driver.script("close", ScriptedError("gone"))
    driver.live.clear()
    holder.give_back()
    await_stats(pool, size=0)
    assert_whole(pool)


def test_an_error_of_closing_a_lost_connection_does_not_fail_the_next_holder(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow
) -> None:
    pool = make_pool(MAX_CONNS=1)
    first = borrow(pool).taken()
    first.give_back()
    first.connection.dead = True
    driver.live.clear()
    driver.script("close", ScriptedError("gone"))
    assert borrow(pool).taken().connection is not first.connection


def test_an_error_of_the_look_at_an_idle_connection_costs_no_slot(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow
) -> None:
    pool = make_pool(MAX_CONNS=1)
    borrow(pool).taken().give_back()
    driver.script("is_alive", ValueError("file descriptor cannot be a negative integer"))
    with pytest.raises(ValueError, match="file descriptor"):
        Task(pool.getconn).result()
    await_stats(pool, size=0)
    assert_whole(pool)
