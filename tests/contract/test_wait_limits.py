"""Whose time limit a wait for a connection obeys: a block's, or the task's own."""

from __future__ import annotations

import contextvars
import time

import pytest

from django_geventpool.errors import PoolTimeout
from django_geventpool.pool import Pool, time_limits
from django_geventpool.pool.time_limits import TimeLimits, WaitBlock
from tests.support import inside
from tests.support.interruptions import TooSlowError
from tests.support.pool_states import assert_whole, await_stats
from tests.support.tasks import Task

from .conftest import Borrow, MakePool

ALIAS = "test"


def message(pool: Pool) -> str:
    """Return the error message of a request that is made now, of which there must be one."""
    with pytest.raises(PoolTimeout) as caught:
        pool.getconn()
    return str(caught.value)


@pytest.fixture
def full(make_pool: MakePool, borrow: Borrow) -> Pool:
    """A pool whose only connection is in use, and that waits for a fiftieth of a second."""
    pool = make_pool(MAX_CONNS=1, CONN_WAIT_TIMEOUT=0.02)
    borrow(pool).taken()
    return pool


def give_limits(monkeypatch: pytest.MonkeyPatch, limits: TimeLimits) -> None:
    monkeypatch.setattr(time_limits, "current", lambda: limits)


# Blocks


def test_a_block_has_a_timeout_of_its_own(full: Pool) -> None:
    with WaitBlock(ALIAS, 0.01):
        assert "within 0.01 s (wait_timeout): " in message(full)
    assert "within 0.02 s (CONN_WAIT_TIMEOUT): " in message(full)


def test_the_innermost_block_of_an_alias_counts(full: Pool) -> None:
    with WaitBlock(ALIAS, 0.01):
        with WaitBlock(ALIAS, 0.03), WaitBlock("other", 0):
            assert "within 0.03 s (wait_timeout)" in message(full)
        assert "within 0.01 s (wait_timeout)" in message(full)


def test_none_waits_as_long_as_it_takes(full: Pool) -> None:
    def wait() -> None:
        with WaitBlock(ALIAS, None):
            full.putconn(full.getconn())

    waiter = Task(wait)
    await_stats(full, waiting=1)
    assert next(iter(inside.state(full).waiting)).deadline is None
    full.resize(2)
    waiter.result()


def test_a_block_holds_for_nobody_who_runs_beside_it(full: Pool) -> None:
    with WaitBlock(ALIAS, 0):
        assert "(CONN_WAIT_TIMEOUT)" in Task(message, full).result()


def test_a_block_that_is_over_holds_for_nobody_who_was_started_in_it(full: Pool) -> None:
    with WaitBlock(ALIAS, 0):
        inherited = contextvars.copy_context()
        assert "(wait_timeout)" in inherited.run(message, full)
    assert "(CONN_WAIT_TIMEOUT)" in inherited.run(message, full)


def test_a_block_whose_end_was_interrupted_is_over(full: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise TooSlowError

    with WaitBlock(ALIAS, 0.01):
        monkeypatch.setattr(WaitBlock, "__exit__", interrupt)
        with pytest.raises(TooSlowError), WaitBlock(ALIAS, 0):
            pass
        monkeypatch.undo()
        assert "within 0.01 s (wait_timeout)" in message(full)
    assert "(CONN_WAIT_TIMEOUT)" in message(full)


# Time limits of tasks


def test_a_task_waits_for_what_its_hard_limit_leaves(full: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    full.options = type(full.options)(MAX_CONNS=1, CONN_WAIT_TIMEOUT=60)
    begun = time.monotonic()
    give_limits(monkeypatch, TimeLimits(begun, None, 0.2))
    assert "(all that the task's hard time limit of 0.2 s left): limit 1, in use 1" in message(full)
    assert time.monotonic() < begun + 0.2


def test_a_limit_that_is_about_to_strike_counts_no_more(full: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    # Celery begins to count a moment before, so the limit may have struck, and the task may be cleaning up.
    give_limits(monkeypatch, TimeLimits(time.monotonic() - 99.7, None, 100))
    assert "(CONN_WAIT_TIMEOUT)" in message(full)
    give_limits(monkeypatch, TimeLimits(time.monotonic() - 1.95, 2, 100))
    assert "(CONN_WAIT_TIMEOUT)" in message(full)


def test_the_soft_limit_comes_first_and_counts_until_it_has_passed(full: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    full.options = type(full.options)(MAX_CONNS=1, CONN_WAIT_TIMEOUT=60)
    give_limits(monkeypatch, TimeLimits(time.monotonic(), 0.1, 100))
    assert "task's soft time limit of 0.1 s" in message(full)
    give_limits(monkeypatch, TimeLimits(time.monotonic() - 99.2, 0.1, 100))
    assert "task's hard time limit of 100 s" in message(full)


def test_a_limit_that_has_passed_counts_no_more(full: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    give_limits(monkeypatch, TimeLimits(time.monotonic() - 10, 3, 5))
    assert "(CONN_WAIT_TIMEOUT)" in message(full)


def test_the_shortest_of_all_counts(full: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    give_limits(monkeypatch, TimeLimits(time.monotonic(), None, 100))
    assert "(CONN_WAIT_TIMEOUT)" in message(full)
    with WaitBlock(ALIAS, 0.01):
        assert "(wait_timeout)" in message(full)
    with pytest.raises(PoolTimeout, match="the caller's own timeout"):
        full.getconn(timeout=0.01)
    give_limits(monkeypatch, TimeLimits(time.monotonic(), None, 0.1))
    with WaitBlock(ALIAS, None), pytest.raises(PoolTimeout, match="the task's hard time limit"):
        full.getconn()
    give_limits(monkeypatch, TimeLimits(time.monotonic(), None, 0.1))
    with pytest.raises(PoolTimeout, match="the task's hard time limit"):
        full.getconn(timeout=60)


def test_a_limit_only_for_statements(full: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = TimeLimits(time.monotonic(), None, 0.001, limits_waits=False)
    give_limits(monkeypatch, limits)
    assert "(CONN_WAIT_TIMEOUT)" in message(full)


def test_a_free_connection_is_taken_however_little_time_is_left(
    make_pool: MakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool(MAX_CONNS=1)
    give_limits(monkeypatch, TimeLimits(time.monotonic() - 99.9, None, 100))
    pool.putconn(pool.getconn())
    assert_whole(pool)


def test_many_with_little_time_left_each_of_another_length(
    make_pool: MakePool, borrow: Borrow, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool(MAX_CONNS=1, CONN_WAIT_TIMEOUT=60)
    holder = borrow(pool).taken()
    begun = time.monotonic()

    monkeypatch.setattr(
        time_limits, "current", lambda: TimeLimits(begun, None, 0.4 + (time.monotonic_ns() % 1000) / 2000)
    )
    tasks = [Task(message, pool) for _ in range(20)]
    assert all("hard time limit" in task.result() for task in tasks)
    assert time.monotonic() < begun + 5
    monkeypatch.undo()
    holder.give_back()
    assert_whole(pool)
