"""Laws 7 and 8: a connection goes back only clean, and a dead one is never handed out."""

from __future__ import annotations

from tests.support.pool_states import assert_whole, await_stats
from tests.support.scripted import ScriptedDriver

from .conftest import Borrow, MakePool


def test_a_dead_idle_connection_is_replaced(driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow) -> None:
    pool = make_pool(MAX_CONNS=3)
    lost = [borrow(pool).taken() for _ in range(3)]
    for borrower in lost:
        borrower.give_back()
        borrower.connection.dead = True
    fresh = [borrow(pool).taken() for _ in range(3)]
    assert not any(borrower.connection.dead for borrower in fresh)
    assert all(borrower.connection.closed for borrower in lost)
    assert driver.peak == 3


def test_a_waiter_gets_no_dead_connection_either(driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow) -> None:
    pool = make_pool(MAX_CONNS=1)
    holder = borrow(pool).taken()
    waiter = borrow(pool)
    await_stats(pool, waiting=1)
    holder.connection.dead = True
    holder.give_back()
    assert not waiter.taken().connection.dead
    assert driver.peak == 1


def test_a_connection_is_cleaned_before_it_is_lent_again(driver: ScriptedDriver, make_pool: MakePool) -> None:
    pool = make_pool(MAX_CONNS=1)
    for _ in range(3):
        pool.putconn(pool.getconn())
    steps = [step for step, _ in driver.log]
    assert steps == ["connect", "opened", "reset", "is_alive", "reset", "is_alive", "reset"]


def test_a_connection_that_can_not_be_cleaned_is_thrown_away(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow
) -> None:
    pool = make_pool(MAX_CONNS=1)
    holder = borrow(pool).taken()
    holder.connection.dirty = True
    holder.give_back()
    assert borrow(pool).taken().connection is not holder.connection
    assert holder.connection.closed == 1


def test_a_connection_is_given_back_once(driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow) -> None:
    pool = make_pool(MAX_CONNS=2)
    borrower = borrow(pool).taken()
    borrower.give_back()
    for _ in range(3):
        pool.putconn(borrower.connection)
    assert pool.stats().idle == 1
    assert driver.count("reset") == 1
    assert_whole(pool)


def test_foreign_connections_are_left_alone(driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow) -> None:
    pool, other = make_pool(MAX_CONNS=1), make_pool(MAX_CONNS=1)
    foreign = borrow(other).taken()
    for connection in (foreign.connection, object(), None):
        pool.putconn(connection)
    assert pool.stats().size == 0
    assert other.stats().in_use == 1
    assert driver.count("reset") == 0
    assert not foreign.connection.closed


def test_a_connection_that_was_thrown_away_is_not_taken_back(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow
) -> None:
    pool = make_pool(MAX_CONNS=1)
    borrower = borrow(pool).taken()
    borrower.connection.dirty = True
    borrower.give_back()
    await_stats(pool, size=0)
    borrower.connection.dirty = False
    pool.putconn(borrower.connection)
    assert pool.stats().size == 0
    assert driver.count("reset") == 1
