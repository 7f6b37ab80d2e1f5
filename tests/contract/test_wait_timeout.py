"""CONN_WAIT_TIMEOUT: how long a request waits, and what it says when nothing came."""

from __future__ import annotations

import re

import pytest
from django.db import OperationalError

from django_geventpool.errors import PoolTimeout
from django_geventpool.pool import holder as holders
from tests.support.pool_states import assert_whole, await_stats, queue_up
from tests.support.scripted import ScriptedDriver

from .conftest import Borrow, MakePool


def test_zero_fails_at_once_when_the_pool_is_full(make_pool: MakePool, borrow: Borrow) -> None:
    pool = make_pool(MAX_CONNS=1, CONN_WAIT_TIMEOUT=0)
    holder = borrow(pool).taken()
    with pytest.raises(PoolTimeout):
        pool.getconn()
    assert pool.stats().waiting == 0
    holder.give_back()
    pool.putconn(pool.getconn())


def test_zero_takes_what_is_free(driver: ScriptedDriver, make_pool: MakePool) -> None:
    pool = make_pool(MAX_CONNS=2, CONN_WAIT_TIMEOUT=0)
    connections = [pool.getconn(), pool.getconn()]
    pool.putconn(connections[0])
    assert pool.getconn() is connections[0]
    for connection in connections:
        pool.putconn(connection)


def test_a_wait_ends_when_its_time_is_up(make_pool: MakePool, borrow: Borrow) -> None:
    pool = make_pool(MAX_CONNS=1, CONN_WAIT_TIMEOUT=0.05)
    holder = borrow(pool).taken()
    waiters = [borrow(pool) for _ in range(5)]
    for waiter in waiters:
        with pytest.raises(PoolTimeout):
            waiter.taken()
    assert pool.stats().waiting == 0
    holder.give_back()
    assert_whole(pool)


def test_none_waits_as_long_as_it_takes(make_pool: MakePool, borrow: Borrow) -> None:
    pool = make_pool(MAX_CONNS=1, CONN_WAIT_TIMEOUT=None)
    holder = borrow(pool).taken()
    (waiter,) = queue_up(pool, lambda: borrow(pool), 1)
    request = next(iter(pool._room.waiting))
    assert request.deadline is None
    holder.give_back()
    assert waiter.taken().connection is holder.connection


def test_a_call_may_have_a_timeout_of_its_own(make_pool: MakePool, borrow: Borrow) -> None:
    pool = make_pool(MAX_CONNS=1, CONN_WAIT_TIMEOUT=None)
    holder = borrow(pool).taken()
    with pytest.raises(PoolTimeout, match=r"within 0 s"):
        pool.getconn(timeout=0)
    with pytest.raises(PoolTimeout, match=r"within 0\.01 s"):
        pool.getconn(timeout=0.01)
    waiter = borrow(pool, timeout=None)
    await_stats(pool, waiting=1)
    holder.give_back()
    waiter.taken()


def test_the_error_says_the_pools_numbers(make_pool: MakePool, borrow: Borrow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holders, "describe", lambda: "task shop.tasks.pay[42]")
    pool = make_pool(MAX_CONNS=2)
    holder = borrow(pool).taken()
    monkeypatch.setattr(holders, "describe", lambda: "task shop.tasks.ship[43]")
    borrow(pool).taken()
    queue_up(pool, lambda: borrow(pool), 3)
    with pytest.raises(PoolTimeout) as caught:
        pool.getconn(timeout=0)
    assert isinstance(caught.value, OperationalError)
    assert re.search(
        r'Pool "test": no connection came free within 0 s \(CONN_WAIT_TIMEOUT\): limit 2, in use 2, idle 0, waiting 3, '
        r"longest holder task shop\.tasks\.pay\[42\] for \d+\.\d s\. Hold connections for less time",
        str(caught.value),
    ), caught.value
    assert holder.has_connection


def test_without_a_task_the_holder_is_named_by_its_greenlet_or_thread(
    make_pool: MakePool, borrow: Borrow, framework: str
) -> None:
    pool = make_pool(MAX_CONNS=1)
    borrow(pool).taken()
    name = "thread " if framework == "threads" else "greenlet 0x"
    with pytest.raises(PoolTimeout, match=f"longest holder {name}"):
        pool.getconn(timeout=0)


def test_a_wait_that_ends_in_a_timeout_leaves_its_place(make_pool: MakePool, borrow: Borrow) -> None:
    pool = make_pool(MAX_CONNS=1)
    holder = borrow(pool).taken()
    short, patient = borrow(pool, timeout=0.05), borrow(pool)
    with pytest.raises(PoolTimeout):
        short.taken()
    await_stats(pool, waiting=1)
    holder.give_back()
    assert patient.taken().connection is holder.connection
