"""The pool's work without any traffic."""

from __future__ import annotations

import logging
import random
import threading
import time
from typing import Any

import pytest

from django_geventpool.pool import holder as holders
from django_geventpool.pool.upkeep import BACKSTOP, SLOT_POLL_INTERVAL
from tests.support import inside
from tests.support.pool_states import assert_whole, await_stats, queue_up
from tests.support.scripted import Refused, ScriptedDriver
from tests.support.tasks import Task
from tests.support.waiting import eventually

from .conftest import Borrow, MakePool


def test_idle_connections_are_closed(driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow) -> None:
    pool = make_pool(MAX_CONNS=3, CONN_IDLE_TIMEOUT=0.05)
    for borrower in [borrow(pool).taken() for _ in range(3)]:
        borrower.give_back()
    await_stats(pool, size=0)
    assert not driver.live


def test_min_conns_are_kept(driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow) -> None:
    pool = make_pool(MAX_CONNS=4, MIN_CONNS=2, CONN_IDLE_TIMEOUT=0.05)
    for borrower in [borrow(pool).taken() for _ in range(4)]:
        borrower.give_back()
    await_stats(pool, size=2, idle=2)
    # Nothing is due for the housekeeper any more.
    assert inside.upkeep(pool).next_wake(100.0) == 100.0 + SLOT_POLL_INTERVAL
    assert len(driver.live) == 2
    assert driver.count("connect") == 4


def test_an_idle_timeout_of_zero_keeps_nothing(driver: ScriptedDriver, make_pool: MakePool) -> None:
    pool = make_pool(MAX_CONNS=2, CONN_IDLE_TIMEOUT=0)
    pool.putconn(pool.getconn())
    await_stats(pool, size=0)
    assert not driver.live


def test_without_an_idle_timeout_nothing_is_to_be_expected(make_pool: MakePool) -> None:
    pool = make_pool(CONN_IDLE_TIMEOUT=None, CONN_MAX_LIFETIME=None)
    Task(lambda: pool.putconn(pool.getconn())).result()
    assert pool.stats().idle == 1
    assert inside.upkeep(pool).next_wake(100.0) == 100.0 + BACKSTOP


@pytest.mark.parametrize(
    "options", [{}, {"MIN_CONNS": 4}, {"CONN_IDLE_TIMEOUT": None}, {"LEAK_WARNING_AFTER": 60}], ids=str
)
def test_what_is_lent_and_comes_back_does_not_wake_the_housekeeper(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    pool = make_pool(**{"MAX_CONNS": 4, **options})
    connection = pool.getconn()
    inside.keep_house(pool)  # While nothing is idle.
    woken: list[None] = []
    with monkeypatch.context() as patch:
        patch.setattr(inside.housekeeper(pool), "wake", lambda: woken.append(None))
        pool.putconn(connection)
        pool.putconn(pool.getconn())
    assert not woken


def test_the_least_recently_used_connections_are_closed_first(make_pool: MakePool, borrow: Borrow) -> None:
    pool = make_pool(MAX_CONNS=3, MIN_CONNS=1, CONN_IDLE_TIMEOUT=0.05)
    borrowers = [borrow(pool).taken() for _ in range(3)]
    for borrower in borrowers:
        borrower.give_back()
    await_stats(pool, size=1)
    assert borrow(pool).taken().connection is borrowers[-1].connection


def test_a_connection_that_has_lived_long_enough_is_closed(driver: ScriptedDriver, make_pool: MakePool) -> None:
    pool = make_pool(CONN_IDLE_TIMEOUT=None, CONN_MAX_LIFETIME=0.05)
    pool.putconn(pool.getconn())
    await_stats(pool, size=0)
    assert not driver.live


def test_min_conns_are_renewed_when_they_have_lived_long_enough(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow
) -> None:
    # A connection that comes back or is opened after that is closed.
    pool = make_pool(MAX_CONNS=2, MIN_CONNS=2, CONN_IDLE_TIMEOUT=None, CONN_MAX_LIFETIME=0.5)
    first = [borrow(pool).taken() for _ in range(2)]
    for borrower in first:
        borrower.give_back()
    eventually(lambda: all(borrower.connection.closed for borrower in first), "the end of the first connections")
    eventually(lambda: driver.count("connect") >= 6, "connections renewed again and again")
    # Each connection keeps its slot while it is renewed.
    assert pool.stats().size == 2
    assert driver.peak == 2


def test_a_lifetime_ends_in_use_when_the_connection_comes_back(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow
) -> None:
    pool = make_pool(MAX_CONNS=1, CONN_MAX_LIFETIME=0.01, CONN_IDLE_TIMEOUT=None)
    borrower = borrow(pool).taken()
    (slot,) = inside.slots(pool)
    eventually(lambda: slot.expires_at is not None and slot.expires_at <= time.monotonic(), "the lifetime's end")
    assert not borrower.connection.closed
    driver.script("reset", lambda: await_stats(pool, in_use=1))
    borrower.give_back()
    await_stats(pool, size=0)
    assert borrower.connection.closed == 1


def test_lifetimes_have_a_jitter_of_up_to_a_tenth(
    make_pool: MakePool, borrow: Borrow, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool(MAX_CONNS=20, CONN_MAX_LIFETIME=1000)
    borrowed = [borrow(pool).taken() for _ in range(20)]
    ages = [slot.expires_at - slot.since for slot in inside.slots(pool) if slot.expires_at is not None]
    assert len(ages) == len(borrowed) == 20
    assert all(900 <= age <= 1010 for age in ages)
    assert max(ages) - min(ages) > 1, "all at the same time"


def test_a_renewal_that_fails_frees_the_slot(driver: ScriptedDriver, make_pool: MakePool) -> None:
    pool = make_pool(MAX_CONNS=1, MIN_CONNS=1, CONN_IDLE_TIMEOUT=None)
    driver.script("opened", None, Refused("no"))
    pool.putconn(pool.getconn())
    inside.end_lifetimes(pool)
    await_stats(pool, size=0)
    assert not driver.live
    assert_whole(pool)


def test_a_pool_that_is_closed_during_a_renewal_keeps_no_connection(
    driver: ScriptedDriver, make_pool: MakePool
) -> None:
    pool = make_pool(MAX_CONNS=1, MIN_CONNS=1, CONN_IDLE_TIMEOUT=None)
    arrived, answer = threading.Event(), threading.Event()
    driver.script("opened", None, lambda: (arrived.set(), answer.wait()))
    pool.putconn(pool.getconn())
    inside.end_lifetimes(pool)
    assert arrived.wait(30)
    pool.close()
    answer.set()
    await_stats(pool, size=0)
    assert not driver.live


def test_a_newcomer_may_have_a_renewed_connection(driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow) -> None:
    pool = make_pool(MAX_CONNS=1, MIN_CONNS=1, CONN_IDLE_TIMEOUT=None)
    arrived, answer = threading.Event(), threading.Event()
    driver.script("opened", None, lambda: (arrived.set(), answer.wait()))
    pool.putconn(pool.getconn())
    inside.end_lifetimes(pool)
    assert arrived.wait(30)
    borrower = borrow(pool)
    await_stats(pool, waiting=1, connecting=1)
    answer.set()
    borrower.taken()
    assert driver.peak == 1


def test_a_connection_held_for_too_long_is_warned_about_once(
    make_pool: MakePool, borrow: Borrow, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holders, "describe", lambda: "task shop.tasks.pay[42]")
    pool = make_pool(LEAK_WARNING_AFTER=0.05)
    holder = borrow(pool).taken()
    eventually(lambda: caplog.records, "a warning")
    # When a later holder's warning is there, a second warning of the first would be there too.
    monkeypatch.setattr(holders, "describe", lambda: "task shop.tasks.ship[43]")
    borrow(pool).taken()
    eventually(lambda: len(caplog.records) >= 2, "another warning")
    first, second = (record.getMessage() for record in caplog.records)
    assert 'Pool "test": task shop.tasks.pay[42] has held a connection for more than LEAK_WARNING_AFTER' in first
    assert "task shop.tasks.ship[43]" in second
    assert "tests/support/borrower.py" in first
    assert "in _run" in first
    assert "self.pool.getconn(**self._arguments)" in first
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    assert holder.has_connection


def test_the_next_holder_of_the_same_connection_is_warned_about_too(
    make_pool: MakePool, borrow: Borrow, caplog: pytest.LogCaptureFixture
) -> None:
    pool = make_pool(MAX_CONNS=1, LEAK_WARNING_AFTER=0.05)
    for number in (1, 2):
        holder = borrow(pool).taken()
        eventually(lambda number=number: len(caplog.records) == number, f"warning {number}")
        holder.give_back()
    assert pool.stats().connects == 1


def test_a_holder_that_has_waited_is_warned_about_too(
    make_pool: MakePool, borrow: Borrow, caplog: pytest.LogCaptureFixture
) -> None:
    pool = make_pool(MAX_CONNS=1, LEAK_WARNING_AFTER=0.2, CONN_IDLE_TIMEOUT=None, CONN_MAX_LIFETIME=None)
    first = borrow(pool).taken()
    (waiter,) = queue_up(pool, lambda: borrow(pool), 1)
    # After the first warning, nothing is due for the housekeeper.
    eventually(lambda: caplog.records, "a warning of the first")
    first.give_back()
    waiter.taken()
    eventually(lambda: len(caplog.records) == 2, "a warning of the second")


def test_nobody_is_warned_about_in_time(make_pool: MakePool, borrow: Borrow, caplog: pytest.LogCaptureFixture) -> None:
    pool = make_pool(MAX_CONNS=2, LEAK_WARNING_AFTER=1, CONN_IDLE_TIMEOUT=1.5)
    borrow(pool).taken().give_back()
    # The housekeeper has worked after the time when a warning was due.
    await_stats(pool, size=0)
    assert not caplog.records


def test_an_error_in_the_housekeeping_does_not_end_it(
    driver: ScriptedDriver, make_pool: MakePool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool(CONN_IDLE_TIMEOUT=0.05)
    outdated = inside.upkeep(pool).evict_outdated
    failures = iter([ZeroDivisionError()])

    def fail_once(now: float) -> object:
        for error in failures:
            raise error
        return outdated(now)

    monkeypatch.setattr(inside.upkeep(pool), "evict_outdated", fail_once)
    pool.putconn(pool.getconn())
    await_stats(pool, size=0)
    assert any("housekeeping failed" in record.getMessage() for record in caplog.records)
    assert not driver.live


def test_the_jitter_is_drawn_for_each_connection(
    make_pool: MakePool, borrow: Borrow, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[float, float]] = []
    monkeypatch.setattr(random, "uniform", lambda low, high: drawn.append((low, high)) or low)
    pool = make_pool(MAX_CONNS=3, CONN_MAX_LIFETIME=1000)
    borrowed = [borrow(pool).taken() for _ in range(3)]
    assert len(drawn) == len(borrowed)


def test_a_renewal_that_fails_costs_no_slot(driver: ScriptedDriver, make_pool: MakePool) -> None:
    pool = make_pool(MAX_CONNS=1, MIN_CONNS=1)
    pool.putconn(pool.getconn())
    driver.script("connect", Refused("down"))
    inside.end_lifetimes(pool)
    await_stats(pool, size=0, failed_connects=1)
    assert_whole(pool)


def test_a_renewal_that_never_begins_costs_no_slot(
    driver: ScriptedDriver, make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The greenlet that was to renew the connection was killed."""
    pool = make_pool(MAX_CONNS=1, MIN_CONNS=1)
    first = pool.getconn()
    pool.putconn(first)
    asked: list[object] = []
    with monkeypatch.context() as patch:
        patch.setattr(inside.closer(pool), "start", lambda *arguments: asked.append(arguments))
        inside.end_lifetimes(pool)
        eventually(lambda: asked, "a renewal that is to begin")
    assert pool.stats().connecting == 0
    pool.wake()
    eventually(lambda: driver.count("connect") == 2, "another that does")
    await_stats(pool, idle=1, size=1)
    assert_whole(pool)
