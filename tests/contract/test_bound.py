"""Laws 1 and 2: the server never counts more connections than the limit, and no slot is lost."""

from __future__ import annotations

import time

import pytest

from tests.support.pool_states import assert_whole, await_stats, queue_up
from tests.support.scripted import Refused, ScriptedDriver
from tests.support.tasks import Task, results

from .conftest import Borrow, MakePool


def test_a_start_up_burst_opens_no_more_than_the_limit(driver: ScriptedDriver, make_pool: MakePool) -> None:
    pool = make_pool(MAX_CONNS=5)

    def use() -> int:
        connection = pool.getconn()
        assert connection in driver.live
        pool.putconn(connection)
        return 1

    assert sum(results([Task(use) for _ in range(100)])) == 100
    assert driver.peak <= 5
    assert driver.count("connect") <= 5
    assert pool.stats().connects == driver.count("connect")
    assert_whole(pool)


def test_a_connection_counts_until_the_server_has_let_go_of_it(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow
) -> None:
    pool = make_pool(MAX_CONNS=1)
    first = borrow(pool).taken()
    first.connection.dirty = True
    while_closing = []
    driver.script("close", lambda: while_closing.append(await_stats(pool, waiting=1, closing=1)))
    second = borrow(pool)
    await_stats(pool, waiting=1)
    first.give_back()
    second.taken()
    assert [stats.size for stats in while_closing] == [1]
    assert driver.peak == 1


def test_a_lost_connection_is_closed_before_it_is_replaced(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow
) -> None:
    pool = make_pool(MAX_CONNS=1)
    first = borrow(pool).taken()
    first.give_back()
    first.connection.dead = True
    second = borrow(pool).taken()
    assert second.connection is not first.connection
    assert driver.peak == 1


def test_a_failed_connect_gives_its_slot_to_the_next_waiter(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow
) -> None:
    pool = make_pool(MAX_CONNS=1)
    driver.script("connect", lambda: await_stats(pool, waiting=1), Refused("no"))
    driver.script("opened", Refused("no"))
    first = borrow(pool)
    await_stats(pool, connecting=1)
    second = borrow(pool)
    with pytest.raises(Refused):
        first.taken()
    with pytest.raises(Refused):
        second.taken()
    assert driver.count("connect") == 2
    third = borrow(pool).taken()
    assert driver.live == {third.connection}


@pytest.mark.parametrize("step", ["connect", "opened"])
def test_failing_connects_lose_no_slot(driver: ScriptedDriver, make_pool: MakePool, step: str) -> None:
    pool = make_pool(MAX_CONNS=3)
    driver.script(step, *[Refused("no")] * 10)  # type: ignore[arg-type]

    def use() -> None:
        pool.putconn(pool.getconn())

    tasks = [Task(use) for _ in range(30)]
    for task in tasks:
        task.wait()
    assert sum(isinstance(task.error, Refused) for task in tasks) == 10
    assert driver.peak <= 3
    # Nothing was left for the holders' ends to reclaim.
    assert pool.stats().reclaimed == 0
    assert_whole(pool)


def test_an_error_of_connecting_is_raised_as_it_is(driver: ScriptedDriver, make_pool: MakePool) -> None:
    pool = make_pool()
    error = Refused("wrong password")
    driver.script("opened", error)
    with pytest.raises(Refused) as caught:
        pool.getconn()
    assert caught.value is error
    await_stats(pool, size=0)


def test_connections_are_used_again(driver: ScriptedDriver, make_pool: MakePool) -> None:
    pool = make_pool(MAX_CONNS=3)

    def use() -> None:
        for _ in range(20):
            pool.putconn(pool.getconn())

    results([Task(use) for _ in range(20)])
    assert driver.count("connect") <= 3
    assert driver.count("close") == 0


def test_the_most_recently_used_connection_is_used_again_first(make_pool: MakePool, borrow: Borrow) -> None:
    """So that the others stay idle for long enough to be closed."""
    pool = make_pool(MAX_CONNS=3)
    borrowers = [borrow(pool).taken() for _ in range(3)]
    for number in (1, 0, 2):
        borrowers[number].give_back()
    again = [borrow(pool).taken().connection for _ in range(3)]
    assert again == [borrowers[number].connection for number in (2, 0, 1)]


def test_a_connection_is_lent_to_one_holder_at_a_time(make_pool: MakePool) -> None:
    pool = make_pool(MAX_CONNS=4)
    held: set[object] = set()

    def use() -> None:
        for _ in range(10):
            connection = pool.getconn()
            assert connection not in held
            held.add(connection)
            time.sleep(0)
            held.remove(connection)
            pool.putconn(connection)

    results([Task(use) for _ in range(40)])
    assert pool.stats().connects <= 4


def test_reuse_conns_limits_the_idle_connections(driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow) -> None:
    pool = make_pool(MAX_CONNS=4, REUSE_CONNS=1)
    borrowers = [borrow(pool).taken() for _ in range(4)]
    for borrower in borrowers:
        borrower.give_back()
    await_stats(pool, size=1, idle=1)
    assert len(driver.live) == 1


def test_reuse_conns_closes_nothing_that_a_waiter_wants(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow
) -> None:
    pool = make_pool(MAX_CONNS=2, REUSE_CONNS=0)
    first, _ = borrow(pool).taken(), borrow(pool).taken()
    (waiter,) = queue_up(pool, lambda: borrow(pool), 1)
    first.give_back()
    assert waiter.taken().connection is first.connection
    waiter.give_back()
    await_stats(pool, size=1, idle=0)
    assert driver.count("connect") == 2
