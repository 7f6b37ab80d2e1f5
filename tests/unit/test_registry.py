"""The registry of a process's pools."""

from __future__ import annotations

import threading

import pytest

from django_geventpool.options import PoolOptions
from django_geventpool.pool import Pool
from django_geventpool.registry import Pools
from tests.support.scripted import ScriptedDriver
from tests.support.waiting import eventually


@pytest.fixture
def pools() -> Pools:
    return Pools()


def make(name: str = "default") -> Pool:
    return Pool(name, ScriptedDriver(), PoolOptions())


def refuse() -> Pool:
    raise AssertionError("there is a pool already")


def test_a_pool_is_made_once(pools: Pools) -> None:
    pool = pools.obtain("default", "target", make)
    assert pools.obtain("default", "target", refuse) is pool
    assert pools["default"] is pool
    assert dict(pools) == {"default": pool}


def test_there_is_no_pool_before_the_first_connection(pools: Pools) -> None:
    assert len(pools) == 0
    with pytest.raises(KeyError):
        pools["default"]
    assert pools.get("default") is None


def test_aliases_have_pools_of_their_own(pools: Pools) -> None:
    first, second = pools.obtain("default", "target", make), pools.obtain("replica", "target", make)
    assert first is not second
    assert set(pools) == {"default", "replica"}


def test_another_target_replaces_the_pool_and_closes_the_old(pools: Pools) -> None:
    """As when a test runner sets an alias to another database."""
    old = pools.obtain("default", "project", make)
    idle, lent = old.getconn(), old.getconn()
    old.putconn(idle)
    new = pools.obtain("default", "test_project", make)
    assert new is not old
    assert pools["default"] is new
    assert old.closed
    assert not new.closed
    assert idle.closed
    assert not lent.closed
    old.putconn(lent)
    eventually(lambda: old.stats().size == 0, "an empty pool")


def test_a_closed_pool_is_replaced(pools: Pools) -> None:
    old = pools.obtain("default", "target", make)
    old.close()
    assert pools.obtain("default", "target", make) is not old


def test_closing_an_alias_forgets_its_pool(pools: Pools) -> None:
    default, replica = pools.obtain("default", "target", make), pools.obtain("replica", "target", make)
    pools.close("default")
    assert default.closed
    assert not replica.closed
    assert list(pools) == ["replica"]
    pools.close("default")
    pools.close("no such alias")
    assert pools.obtain("default", "target", make) is not default


def test_closing_all(pools: Pools) -> None:
    made = [pools.obtain(alias, "target", make) for alias in ("default", "replica", "archive")]
    pools.close_all()
    assert all(pool.closed for pool in made)
    assert len(pools) == 0
    pools.close_all()


def test_forgetting_leaves_the_pools_alone(pools: Pools) -> None:
    """A forked child forgets its parent's pools without touching them."""
    pool = pools.obtain("default", "target", make)
    pools.forget()
    assert len(pools) == 0
    assert not pool.closed
    assert pools.obtain("default", "target", make) is not pool


def test_a_pool_that_can_not_be_made_leaves_nothing_behind(pools: Pools) -> None:
    def fail() -> Pool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        pools.obtain("default", "target", fail)
    assert len(pools) == 0
    assert pools.obtain("default", "target", make) is pools["default"]


def test_threads_that_ask_at_the_same_time_get_the_same_pool(pools: Pools) -> None:
    made, got = [], []
    entered, go_on = threading.Event(), threading.Event()

    def make_slowly() -> Pool:
        entered.set()
        assert go_on.wait(30)
        made.append(make())
        return made[-1]

    threads = [
        threading.Thread(target=lambda: got.append(pools.obtain("default", "target", make_slowly))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    assert entered.wait(30)
    go_on.set()
    for thread in threads:
        thread.join(30)
    # Several pools may have been made; all threads use the same.
    assert set(got) == {pools["default"]}
    assert len(got) == 8
