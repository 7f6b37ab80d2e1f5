"""CONN_WAIT_TIMEOUT: how long a request waits, and the message when it has waited in vain."""

from __future__ import annotations

import re
import threading

import pytest
from django.db import OperationalError

from django_geventpool.errors import PoolTimeout
from django_geventpool.pool import Pool
from django_geventpool.pool import holder as holders
from tests.support import inside
from tests.support.pool_states import assert_whole, await_stats, queue_up
from tests.support.scripted import ScriptedDriver, Step

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


@pytest.mark.parametrize("configured", [0.05, 15])
def test_it_says_whose_time_is_up(make_pool: MakePool, borrow: Borrow, configured: float) -> None:
    pool = make_pool(MAX_CONNS=1, CONN_WAIT_TIMEOUT=configured)
    borrow(pool).taken()
    with pytest.raises(PoolTimeout, match=r"within 0\.05 s \(the caller's own timeout\): "):
        pool.getconn(timeout=0.05)
    if configured == 0.05:
        with pytest.raises(PoolTimeout, match=r"within 0\.05 s \(CONN_WAIT_TIMEOUT\): "):
            pool.getconn()


def test_none_waits_as_long_as_it_takes(make_pool: MakePool, borrow: Borrow) -> None:
    pool = make_pool(MAX_CONNS=1, CONN_WAIT_TIMEOUT=None)
    holder = borrow(pool).taken()
    (waiter,) = queue_up(pool, lambda: borrow(pool), 1)
    request = next(iter(inside.state(pool).waiting))
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
        r'Pool "test": no connection came free within 0 s \(the caller\'s own timeout\): '
        r"limit 2, in use 2, idle 0, waiting 3, "
        r"longest holder task shop\.tasks\.pay\[42\] for \d+\.\d s\. Hold connections for less time",
        str(caught.value),
    ), caught.value
    assert holder.has_connection


def message(pool: Pool) -> str:
    """Return the error message of a request that is made now."""
    with pytest.raises(PoolTimeout) as caught:
        pool.getconn(timeout=0)
    return str(caught.value)


def test_advice_for_holders_that_do_not_query(make_pool: MakePool, borrow: Borrow) -> None:
    pool = make_pool(MAX_CONNS=3)
    borrowers = [borrow(pool).taken() for _ in range(3)]
    assert 'server has room. 3 of the 3 in use are in no query now: POOL_MODE "transaction" would' in message(pool)
    for borrower in borrowers[:2]:
        borrower.connection.is_active = True
    assert message(pool).endswith("Hold connections for less time, or raise MAX_CONNS if the server has room.")


def test_advice_for_the_only_holder(make_pool: MakePool, borrow: Borrow) -> None:
    pool = make_pool(MAX_CONNS=1)
    borrow(pool).taken()
    assert message(pool).endswith('It is in no query now: POOL_MODE "transaction" would lend it to others.')


def test_advice_in_mode_transaction(make_pool: MakePool, borrow: Borrow) -> None:
    pool = make_pool(MAX_CONNS=1, POOL_MODE="transaction")
    borrow(pool).taken()
    assert message(pool).endswith("It is in no query now: shorter transactions help.")


def test_advice_at_a_full_server(driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow) -> None:
    driver.capacity = 1
    pool = make_pool(MAX_CONNS=4)
    borrow(pool).taken()
    with pytest.raises(PoolTimeout, match="CONNECTION LIMIT of the role or database"):
        pool.getconn(timeout=0.05)
    text = message(pool)
    assert "The server itself has no connection left for us: raise its limit" in text
    assert "Hold connections for less time." in text
    assert "or raise MAX_CONNS" not in text


def test_advice_when_the_limit_was_lowered(make_pool: MakePool, borrow: Borrow) -> None:
    pool = make_pool(MAX_CONNS=3)
    borrowers = [borrow(pool).taken() for _ in range(3)]
    pool.resize(1)
    assert "The limit was lowered: wait until 2 connections above it have come back, or raise it again." in message(
        pool
    )
    borrowers[0].give_back()
    await_stats(pool, size=2)
    assert "The limit was lowered: wait until 1 connection above it has come back, or raise it again." in message(pool)


def test_advice_when_the_pool_before_is_in_use(make_pool: MakePool, borrow: Borrow) -> None:
    before, pool = make_pool(MAX_CONNS=1), make_pool(MAX_CONNS=1)
    borrower = borrow(before).taken()
    before.close()
    pool.succeed(before)
    text = message(pool)
    assert text.endswith(
        "in use 0, idle 0, waiting 0. 1 connection of the pool before it, which was closed, is still open: it counts "
        "until given back."
    )
    borrower.give_back()


@pytest.mark.parametrize(
    ("step", "advice"),
    [
        ("opened", "Connecting takes unusually long: look at the server, the network and connect_timeout."),
        (
            "close",
            "connections count until the server has let go of them: look at the server and the network.",
        ),
    ],
)
def test_advice_for_a_server_that_does_not_answer(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow, step: Step, advice: str
) -> None:
    pool = make_pool(MAX_CONNS=1)
    arrived, answer = threading.Event(), threading.Event()
    driver.script(step, lambda: (arrived.set(), answer.wait()))
    borrower = borrow(pool)
    if step == "close":
        borrower.taken().connection.dirty = True
        borrower.give_back()
    assert arrived.wait(30)
    assert message(pool).endswith(advice)
    answer.set()
    if step == "opened":
        borrower.taken()


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
