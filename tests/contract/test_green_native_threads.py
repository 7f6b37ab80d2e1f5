"""Native threads beside a framework's hub, such as those of ``gevent.threadpool`` and ``eventlet.tpool``."""

from __future__ import annotations

from typing import Any

import pytest

from django_geventpool import green
from django_geventpool.errors import PoolTimeout
from django_geventpool.pool import Pool
from tests.support import inside
from tests.support.pool_states import assert_whole, await_stats
from tests.support.waiting import eventually

from .conftest import Borrow, MakePool

pytestmark = pytest.mark.frameworks("gevent", "eventlet")


def take_in_native_thread(pool: Pool) -> Any:
    """Return what the pool lends to a native thread, or the error; the thread ends without giving back."""
    results: list[Any] = []

    def take() -> None:
        try:
            results.append(pool.getconn())
        except Exception as error:  # noqa: BLE001  the thread would print it at its end
            results.append(error)

    green.start_native_thread(take)
    eventually(lambda: bool(results), "the native thread's result")
    return results[0]


@pytest.mark.parametrize("is_used_before", [False, True])
def test_native_threads_that_end_give_up_their_connections(
    make_pool: MakePool, borrow: Borrow, is_used_before: bool
) -> None:
    """If the hub's greenlets have used the pool, its housekeeper notices; otherwise a waiter does."""
    pool = make_pool(MAX_CONNS=1)
    if is_used_before:
        borrow(pool).taken().give_back()
    connections = [take_in_native_thread(pool) for _ in range(3)]
    assert not [connection for connection in connections if isinstance(connection, Exception)]
    assert len(set(map(id, connections))) == 3
    assert pool.stats().reclaimed >= 2
    borrow(pool).taken().give_back()
    await_stats(pool, reclaimed=3, in_use=0)
    assert_whole(pool)


def test_the_housekeeper_lives_in_the_main_hub(make_pool: MakePool, borrow: Borrow) -> None:
    """In a native thread's own hub, it would stand still as soon as that thread has nothing to wait for."""
    pool = make_pool(MAX_CONNS=2, CONN_IDLE_TIMEOUT=0)
    take_in_native_thread(pool)
    assert not inside.housekeeper(pool).is_running
    borrow(pool).taken().give_back()
    eventually(lambda: inside.housekeeper(pool).is_running, "the housekeeper")
    await_stats(pool, size=0)


def test_what_native_threads_give_back_reaches_who_waits_in_the_main_hub(make_pool: MakePool, borrow: Borrow) -> None:
    """Even if nothing was due for the housekeeper, and although other threads can't wake eventlet's hub."""
    pool = make_pool(MAX_CONNS=1, CONN_IDLE_TIMEOUT=0)
    borrow(pool).taken().give_back()
    await_stats(pool, size=0)
    taken, give_back, ended = [], [], []

    def hold() -> None:
        taken.append(pool.getconn())
        while not give_back:
            sleep(0.01)
        pool.putconn(taken[0])
        ended.append(True)

    sleep = green.original("time", "sleep")
    green.start_native_thread(hold)
    eventually(lambda: bool(taken), "the native thread's connection")
    waiters = [borrow(pool), borrow(pool)]
    await_stats(pool, waiting=2)
    with pytest.raises(PoolTimeout):
        pool.getconn(timeout=0.01)
    give_back.append(True)
    for waiter in waiters:
        waiter.taken().give_back()
    eventually(lambda: bool(ended), "the native thread's end")
    assert_whole(pool)
