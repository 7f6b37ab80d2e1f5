"""Law 11: a forked child starts with empty pools, and its parent's pools go on undisturbed."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest

from django_geventpool import pools
from django_geventpool.errors import PoolClosed
from django_geventpool.options import PoolOptions
from django_geventpool.pool import Pool
from django_geventpool.pool import holder as holders
from tests.support import inside
from tests.support.forks import fork_in_c, in_child
from tests.support.pool_states import assert_whole, await_stats, queue_up
from tests.support.scripted import ScriptedDriver

from .conftest import Borrow, MakePool

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@pytest.fixture
def registered(make_pool: MakePool) -> Iterator[Pool]:
    """A pool that is registered under an alias."""
    pool = pools.obtain("default", "target", lambda: make_pool(MAX_CONNS=3))
    yield pool
    pools.close_all()


def refusal(pool: Pool) -> str:
    try:
        pool.getconn()
    except PoolClosed as error:
        return str(error)
    return "lent"


def test_a_child_starts_with_empty_pools(registered: Pool) -> None:
    assert list(pools) == ["default"]
    assert in_child(lambda: [list(pools), len(pools)]) == [[], 0]
    assert list(pools) == ["default"]


def test_the_parents_pool_is_closed_in_the_child(registered: Pool, driver: ScriptedDriver) -> None:
    assert in_child(lambda: [registered.closed, refusal(registered)]) == [
        True,
        'Pool "test" is closed: take a new one from django_geventpool.pools.',
    ]
    assert not registered.closed
    assert driver.count("connect") == 0


def test_a_hook_that_runs_before_ours_sees_the_child(registered: Pool) -> None:
    """A project's own fork hook may have been registered before the pool was imported."""
    seen: list[Any] = []
    assert in_child(lambda: seen, first=lambda: seen.extend([registered.closed, list(pools)])) == [True, []]
    assert not registered.closed


def test_a_child_that_was_forked_in_c_is_one(registered: Pool, driver: ScriptedDriver) -> None:
    """Servers written in C, such as uWSGI, fork without Python's hooks."""
    registered.putconn(registered.getconn())
    answers = in_child(lambda: [refusal(registered).startswith('Pool "test" is closed'), list(pools)], fork=fork_in_c)
    assert answers == [True, []]
    assert driver.count("connect") == 1
    registered.putconn(registered.getconn())
    assert_whole(registered)


def test_a_child_never_touches_its_parents_connections(
    registered: Pool, driver: ScriptedDriver, borrow: Borrow
) -> None:
    """Whether they were idle, in use or waited for at the fork, and whatever the child does with its parent's pool."""
    mine = registered.getconn()
    lent, idle = borrow(registered).taken(), borrow(registered).taken()
    idle.give_back()

    def misuse() -> Any:
        before = len(driver.log)
        driver.is_slow = False
        registered.putconn(mine)
        registered.putconn(lent.connection)
        registered.close()
        pools.close_all()
        gc.collect()
        return [driver.log[before:], inside.housekeeper(registered) is not None, refusal(registered).startswith("Pool")]

    assert in_child(misuse) == [[], True, True]
    assert registered.stats().in_use == 2
    registered.putconn(mine)
    lent.give_back()
    await_stats(registered, idle=3, reclaimed=0)
    assert not any(connection.closed for connection in driver.live)
    assert driver.count("connect") == 3


def test_the_parents_waiters_get_on(registered: Pool, driver: ScriptedDriver, borrow: Borrow) -> None:
    holders_of_all = [borrow(registered).taken() for _ in range(3)]
    waiters = queue_up(registered, lambda: borrow(registered), 3)
    assert in_child(lambda: list(pools)) == []
    for holder in holders_of_all:
        holder.give_back()
    for waiter in waiters:
        waiter.taken().give_back()
    assert_whole(registered)
    assert driver.peak == 3


def test_a_child_has_pools_of_its_own(registered: Pool, driver: ScriptedDriver) -> None:
    mine = registered.getconn()

    def use() -> Any:
        other = ScriptedDriver()
        other.is_slow = False
        pool = pools.obtain("default", "target", lambda: Pool("child", other, PoolOptions(MAX_CONNS=1)))
        connection = pool.getconn()
        numbers = [pool is registered, pool.stats().in_use, len(other.live)]
        pool.putconn(connection)
        pool.close()
        return [*numbers, len(other.live)]

    assert in_child(use) == [False, 1, 1, 0]
    registered.putconn(mine)
    assert_whole(registered)
    assert driver.count("connect") == 3


def test_a_child_does_not_wait_for_a_lock_that_a_thread_left_behind_held(registered: Pool) -> None:
    """The thread that would release the lock was not forked."""
    answers = inside.under_lock(
        registered, in_child, lambda: [refusal(registered), registered.close(), pools.close_all()]
    )
    assert answers[0].startswith('Pool "test" is closed')


def test_the_registrys_lock_is_the_childs_own(registered: Pool, make_pool: MakePool) -> None:
    answer = inside.under_lock(
        pools,
        in_child,
        lambda: pools.obtain("default", "target", lambda: Pool("child", ScriptedDriver(), PoolOptions())).name,
    )
    assert answer == "child"


def test_a_holder_of_the_parent_means_nothing_to_the_child(registered: Pool) -> None:
    mine = registered.getconn()
    before = holders.current()

    def look() -> Any:
        after = holders.current()
        return [after is before, len(after.slots)]

    assert in_child(look) == [False, 0]
    assert holders.current() is before
    registered.putconn(mine)
    await_stats(registered, reclaimed=0, idle=1)
