"""Law 5 for greenlets: killed while they wait for the network, they leave nothing behind."""

from __future__ import annotations

import threading

import pytest

from tests.support import inside
from tests.support.pool_states import assert_whole, await_stats, queue_up
from tests.support.scripted import ScriptedDriver, Step
from tests.support.tasks import Interruption, Task
from tests.support.waiting import eventually

from .conftest import Borrow, MakePool

pytestmark = pytest.mark.frameworks("gevent", "eventlet")

HOW: list[Interruption] = ["kill", "timeout"]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("step", ["connect", "opened", "reset"])
def test_interrupted_in_mid_step_the_slot_goes_to_the_next_waiter(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow, how: Interruption, step: Step
) -> None:
    pool = make_pool(MAX_CONNS=1)
    reached, never = threading.Event(), threading.Event()

    def hang() -> None:
        reached.set()
        never.wait()

    driver.script(step, hang)
    victim = borrow(pool)
    victim.tell()
    assert reached.wait(30)
    (waiter,) = queue_up(pool, lambda: borrow(pool), 1)
    victim.task.interrupt(how)
    waiter.taken()
    victim.task.wait()
    assert victim.error is not None
    assert driver.peak == 1
    assert driver.live == {waiter.connection}
    waiter.give_back()
    assert_whole(pool)
    # Nothing was left for the victim's end to reclaim.
    assert pool.stats().reclaimed == 0


@pytest.mark.parametrize("how", HOW)
def test_interrupted_while_it_replaces_a_lost_connection_the_slot_goes_to_the_next_waiter(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow, how: Interruption
) -> None:
    pool = make_pool(MAX_CONNS=1)
    first = borrow(pool).taken()
    first.give_back()
    first.connection.dead = True
    reached, never = threading.Event(), threading.Event()
    driver.script("close", lambda: (reached.set(), never.wait()))
    victim = borrow(pool)
    assert reached.wait(30)
    (waiter,) = queue_up(pool, lambda: borrow(pool), 1)
    victim.task.interrupt(how)
    waiter.taken()
    assert first.connection.closed
    assert driver.peak == 1


@pytest.mark.parametrize("how", HOW)
def test_interrupted_while_it_closes_the_pool_all_is_closed_nevertheless(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow, how: Interruption
) -> None:
    pool = make_pool(MAX_CONNS=5, CONN_IDLE_TIMEOUT=None)
    for borrower in [borrow(pool).taken() for _ in range(5)]:
        borrower.give_back()
    reached, server_answers = threading.Event(), threading.Event()
    driver.script("close", None, lambda: (reached.set(), server_answers.wait()))
    closer = Task(pool.close)
    assert reached.wait(30)
    closer.interrupt(how)
    closer.wait()
    assert closer.error is not None
    await_stats(pool, size=1, closing=1)
    assert len(driver.live) == 1
    server_answers.set()
    await_stats(pool, size=0)
    assert not driver.live


def test_no_step_of_the_driver_is_taken_under_the_lock(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow
) -> None:
    """Law 6. Greenlets don't switch while they hold the lock: if it is held in a step, the step's caller holds it."""
    pool = make_pool(MAX_CONNS=2, MIN_CONNS=1, CONN_IDLE_TIMEOUT=0.05)
    locked: dict[Step, set[bool]] = {
        "connect": set(),
        "opened": set(),
        "is_alive": set(),
        "reset": set(),
        "close": set(),
    }
    for step, seen in locked.items():
        driver.always(step, lambda seen=seen: seen.add(inside.is_lock_mine(pool)))
    dead, dirty = borrow(pool).taken(), borrow(pool).taken()
    dead.connection.dead = dirty.connection.dirty = True
    dead.give_back()
    dirty.give_back()
    waiters = [borrow(pool) for _ in range(6)]
    waiters[0].taken().end_without_giving_back()
    for waiter in waiters:
        waiter.tell()
        waiter.task.wait()
    pool.resize(1)
    await_stats(pool, size=1, idle=1)
    before = driver.count("connect")
    inside.end_lifetimes(pool)
    eventually(lambda: driver.count("connect") > before and pool.stats().idle, "a renewed connection")
    pool.close()
    assert all(seen == {False} for seen in locked.values()), locked
