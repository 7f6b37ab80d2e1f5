"""The pool's counters."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from django_geventpool.errors import PoolTimeout
from django_geventpool.pool import alarms
from django_geventpool.pool import holder as holders
from tests.support import inside
from tests.support.pool_states import await_stats, queue_up
from tests.support.scripted import Refused, ScriptedDriver
from tests.support.waiting import eventually

from .conftest import Borrow, MakePool


def test_checkouts_and_waits(make_pool: MakePool, borrow: Borrow) -> None:
    pool = make_pool(MAX_CONNS=1)
    first = borrow(pool).taken()
    assert pool.stats().checkouts == 1
    second, third = queue_up(pool, lambda: borrow(pool), 2)
    assert pool.stats().waits == 0
    first.give_back()
    second.taken().give_back()
    third.taken().give_back()
    stats = pool.stats()
    assert (stats.checkouts, stats.waits, stats.timeouts, stats.connects) == (3, 2, 0, 1)
    assert stats.use_time.count == 3
    assert stats.wait_time.total > 0
    assert stats.create_time.count == 1


def test_timeouts_at_once_and_after_a_wait(make_pool: MakePool, borrow: Borrow) -> None:
    pool = make_pool(MAX_CONNS=1)
    borrow(pool).taken()
    for timeout in (0, 0.01):
        with pytest.raises(PoolTimeout):
            pool.getconn(timeout=timeout)
    stats = pool.stats()
    assert (stats.timeouts, stats.waits) == (2, 1)
    assert stats.wait_time.total >= 0.01


def test_failed_connects_and_reconnects(driver: ScriptedDriver, make_pool: MakePool) -> None:
    pool = make_pool(MAX_CONNS=1)
    driver.script("opened", Refused("no"))
    with pytest.raises(Refused):
        pool.getconn()
    connection = pool.getconn()
    pool.putconn(connection)
    connection.dead = True
    pool.putconn(pool.getconn())
    stats = pool.stats()
    assert (stats.connects, stats.failed_connects, stats.reconnects) == (2, 1, 1)
    assert stats.closed == {"broken": 1}


def test_a_checkout_whose_connection_was_lost_counts_once(driver: ScriptedDriver, make_pool: MakePool) -> None:
    pool = make_pool(MAX_CONNS=1)
    connection = pool.getconn()
    pool.putconn(connection)
    connection.dead = True
    driver.script("opened", Refused("no"))
    with pytest.raises(Refused):
        pool.getconn()
    assert pool.stats().checkouts == 2
    assert pool.stats().reconnects == 0
    pool.putconn(pool.getconn())
    assert pool.stats().checkouts == 3


def test_why_connections_were_closed(driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow) -> None:
    pool = make_pool(MAX_CONNS=3)
    broken = borrow(pool).taken()
    broken.connection.dirty = True
    broken.give_back()
    borrow(pool).taken().end_without_giving_back()
    await_stats(pool, size=0)
    for borrower in [borrow(pool).taken() for _ in range(3)]:
        borrower.give_back()
    pool.resize(2)
    assert pool.close_idle() == 2
    await_stats(pool, size=0)
    borrow(pool).taken().give_back()
    pool.close()
    assert pool.stats().closed == {"broken": 1, "reclaimed": 1, "surplus": 3, "shutdown": 1}
    assert pool.stats().connects == 6


def test_connections_that_are_old_or_unused(make_pool: MakePool) -> None:
    unused = make_pool(CONN_IDLE_TIMEOUT=0.01)
    unused.putconn(unused.getconn())
    old = make_pool(CONN_MAX_LIFETIME=0.01, CONN_IDLE_TIMEOUT=None)
    old.putconn(old.getconn())
    await_stats(unused, size=0)
    await_stats(old, size=0)
    assert unused.stats().closed == {"idle": 1}
    assert old.stats().closed == {"lifetime": 1}


def test_who_holds_connections(make_pool: MakePool, borrow: Borrow, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = make_pool(MAX_CONNS=3)
    assert pool.holders() == []
    nameless = borrow(pool).taken()
    monkeypatch.setattr(holders, "describe", lambda: "task shop.tasks.pay[42]")
    borrow(pool).taken()
    first, second = pool.holders()
    assert first.holder.startswith(("greenlet", "thread"))
    assert first.label is None
    assert second.holder == second.label == "task shop.tasks.pay[42]"
    assert first.held >= second.held >= 0
    assert {first.state, second.state} == {"idle"}
    nameless.give_back()
    assert [held.holder for held in pool.holders()] == ["task shop.tasks.pay[42]"]


def test_a_long_wait_is_warned_of_once_in_a_while(
    make_pool: MakePool, borrow: Borrow, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(alarms, "WAIT_WARNING_AFTER", 0.05)
    monkeypatch.setattr(alarms, "WAIT_WARNING_PAUSE", 0.4)
    pool = make_pool(MAX_CONNS=1, CONN_WAIT_TIMEOUT=None)
    began = time.monotonic()
    holder = borrow(pool).taken()
    with caplog.at_level(logging.WARNING, "geventpool.pool"):
        waiters = queue_up(pool, lambda: borrow(pool), 3)
        eventually(lambda: len(caplog.records) >= 2, "two warnings")
    assert time.monotonic() - began >= 0.45
    assert "limit 1, in use 1, idle 0, waiting" in caplog.messages[0]
    assert "MAX_CONNS" in caplog.messages[0]
    holder.give_back()
    for waiter in waiters:
        waiter.taken().give_back()


def test_a_short_wait_is_nobodys_business(
    make_pool: MakePool, borrow: Borrow, caplog: pytest.LogCaptureFixture
) -> None:
    pool = make_pool(MAX_CONNS=1)
    holder = borrow(pool).taken()
    (waiter,) = queue_up(pool, lambda: borrow(pool), 1)
    looked = threading.Event()
    inside.state(pool).on_slot_closed = looked.set
    holder.give_back()
    waiter.taken().give_back()
    pool.close()
    assert looked.wait(30)
    assert caplog.records == []
