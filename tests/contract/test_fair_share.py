"""A pool at a full server that doesn't say who is connected: other processes may be waiting for connections."""

from __future__ import annotations

import threading
import time

import pytest

from django_geventpool.pool import Pool, server_limit
from tests.support import inside
from tests.support.interruptions import interruptions
from tests.support.pool_states import assert_whole, await_stats, queue_up
from tests.support.scripted import ScriptedDriver, ScriptedError
from tests.support.waiting import eventually

from .conftest import Borrow, MakePool
from .interrupted_look import assert_costs_one_connection


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_limit, "BACKOFF", (0.01, 0.02))


def have_probe_due(pool: Pool) -> None:
    inside.probe_full_server_at(pool, 0.0)


def test_a_connection_that_others_may_want_is_given_up(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow
) -> None:
    driver.says_full = True
    pool = make_pool(MAX_CONNS=2)
    first, second = borrow(pool).taken(), borrow(pool).taken()
    (waiter,) = queue_up(pool, lambda: borrow(pool), 1)
    have_probe_due(pool)
    first.give_back()
    # It pauses, and connects again if no other process has.
    assert waiter.taken().connection not in (first.connection, second.connection)
    eventually(lambda: first.connection.closed, "the end of what was given up")
    assert pool.stats().closed == {"yielded": 1}
    assert driver.count("look") == 1
    assert driver.peak == 2
    second.give_back()
    waiter.give_back()
    assert_whole(pool)


def test_others_are_given_time_to_take_it(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_limit, "BACKOFF", (0.01, 1000.0))
    driver.says_full = True
    pool = make_pool(MAX_CONNS=2)
    first, second = borrow(pool).taken(), borrow(pool).taken()
    earlier, later = queue_up(pool, lambda: borrow(pool), 2)
    have_probe_due(pool)
    first.give_back()
    await_stats(pool, size=1, waiting=2, closing=0)
    # The connection that it still has goes to the next waiter.
    second.give_back()
    assert earlier.taken().connection is second.connection
    assert not later.has_connection
    earlier.give_back()
    assert later.taken().connection is second.connection
    assert driver.count("connect") == 2
    inside.end_backoff(pool, wake=False)
    later.give_back()


def test_the_time_of_others_begins_when_the_server_has_let_go(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_limit, "BACKOFF", (1000.0, 1000.0))
    driver.says_full = True
    pool = make_pool(MAX_CONNS=2)
    first, second = borrow(pool).taken(), borrow(pool).taken()
    (waiter,) = queue_up(pool, lambda: borrow(pool), 1)
    closed = threading.Event()
    driver.script("close", closed.wait)
    have_probe_due(pool)
    first.give_back()
    await_stats(pool, closing=1)
    inside.end_backoff(pool)
    closed.set()
    await_stats(pool, closing=0, waiting=1, size=1)
    assert inside.state(pool).server.retry_at > time.monotonic()
    second.give_back()
    waiter.taken().give_back()
    assert driver.count("connect") == 2


def test_others_are_given_more_time_than_those_need_that_have_few() -> None:
    """The longest pause of a pool that has half of its connections is shorter than the shortest time left to others."""
    asides, pauses = [], []
    for _ in range(100):
        giver, needy = (server_limit.ServerLimit(lambda: 100.0) for _ in range(2))
        giver.record_yield(1)
        asides.append(giver.retry_at)
        needy.backoff = server_limit.BACKOFF[1]
        needy.refused(2, 4)
        pauses.append(needy.retry_at)
    assert max(pauses) < min(asides)


def test_a_server_with_room_is_asked_and_the_connection_kept(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow
) -> None:
    pool = make_pool(MAX_CONNS=2)
    first, second = borrow(pool).taken(), borrow(pool).taken()
    (waiter,) = queue_up(pool, lambda: borrow(pool), 1)
    have_probe_due(pool)
    first.give_back()
    assert waiter.taken().connection is first.connection
    assert driver.count("look") == 1
    second.give_back()


def test_nothing_is_asked_when_nobody_waits_or_there_is_only_one(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow
) -> None:
    driver.says_full = True
    pool = make_pool(MAX_CONNS=2)
    first, second = borrow(pool).taken(), borrow(pool).taken()
    have_probe_due(pool)
    first.give_back()
    second.give_back()
    alone = make_pool(MAX_CONNS=1)
    holder = borrow(alone).taken()
    (waiter,) = queue_up(alone, lambda: borrow(alone), 1)
    have_probe_due(alone)
    holder.give_back()
    assert waiter.taken().connection is holder.connection
    assert driver.count("look") == 0


def test_a_connection_that_is_yet_to_be_opened_does_not_count(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow
) -> None:
    driver.says_full = True
    pool = make_pool(MAX_CONNS=2)
    holder = borrow(pool).taken()
    answer = threading.Event()
    driver.script("opened", answer.wait)
    slow = borrow(pool)
    await_stats(pool, connecting=1)
    (waiter,) = queue_up(pool, lambda: borrow(pool), 1)
    have_probe_due(pool)
    holder.give_back()
    assert waiter.taken().connection is holder.connection
    answer.set()
    slow.taken()
    assert driver.count("look") == 0


@pytest.mark.parametrize("error", [*interruptions(), ScriptedError("gone")], ids=lambda error: type(error).__name__)
def test_out_of_the_question(driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow, error: BaseException) -> None:
    assert_costs_one_connection(error, driver, make_pool(MAX_CONNS=2), borrow, have_probe_due)
