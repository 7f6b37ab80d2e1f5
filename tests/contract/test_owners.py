"""Owners: their ends, and one that two greenlets or threads share."""

from __future__ import annotations

import contextlib
import gc
import threading
from pathlib import Path

import pytest

from django_geventpool.errors import ClientBusy
from django_geventpool.pool import owner as owners
from django_geventpool.pool import slot, state
from django_geventpool.pool.owner import Owner
from tests.support import inside
from tests.support.errors_thrown import SoftLimit
from tests.support.lines import DELIVERIES, Delivery, LineFault
from tests.support.pool_states import assert_whole, await_stats
from tests.support.scripted import ScriptedDriver
from tests.support.tasks import FRAMEWORK, Task
from tests.support.waiting import DEADLINE

from .conftest import Borrow, MakePool


class Wrapper:
    """The object that an owner stands for."""

    def __init__(self) -> None:
        self.owner = Owner(self)


def test_what_an_owner_has_comes_back_with_its_end(driver: ScriptedDriver, make_pool: MakePool) -> None:
    pool = make_pool(MAX_CONNS=1)
    for number in range(1, 4):
        wrapper = Wrapper()
        pool.getconn(owner=wrapper.owner)
        del wrapper
        await_stats(pool, size=0, reclaimed=number)
    assert not driver.live


def test_an_owner_has_one_connection_at_a_time(make_pool: MakePool) -> None:
    pool = make_pool(MAX_CONNS=2)
    wrapper = Wrapper()
    assert pool.getconn(owner=wrapper.owner) is pool.getconn(owner=wrapper.owner)
    assert pool.stats().in_use == 1
    pool.give_back(wrapper.owner)
    pool.give_back(wrapper.owner)
    assert_whole(pool)


def test_what_a_finalizer_asks_for_while_an_owner_settles_is_not_forgotten(make_pool: MakePool) -> None:
    """The finalizer runs at each line of the giving back in turn."""
    pool = make_pool(MAX_CONNS=2)
    wrapper = Wrapper()
    lines = 0
    while True:
        pool.getconn(owner=wrapper.owner)
        fault = LineFault((Path(owners.__file__),), lines + 1, "line", act=lambda: pool.getconn(owner=wrapper.owner))
        with fault.armed():
            pool.give_back(wrapper.owner)
        if not fault.has_fired:
            break
        lines += 1
        assert pool.stats().in_use == 1
        assert wrapper.owner.connection is not None, fault.where
        pool.give_back(wrapper.owner)
        assert pool.stats().in_use == 0, fault.where
    assert lines >= 3
    assert_whole(pool)


@pytest.mark.parametrize("delivery", ["line"] if FRAMEWORK == "eventlet" else DELIVERIES)
def test_what_an_interrupted_loan_has_left_is_its_next_holders(
    make_pool: MakePool, borrow: Borrow, delivery: Delivery
) -> None:
    """Whose connections a task's end gives back is not told from a slot that another holds by now."""
    pool = make_pool(MAX_CONNS=1)
    borrow(pool).taken().give_back()
    files = tuple(Path(module.__file__) for module in (state, slot))
    mine, steps = Wrapper(), 0
    while True:
        fault = LineFault(files, steps + 1, delivery)
        with contextlib.suppress(SoftLimit), fault.armed():
            pool.getconn(owner=mine.owner)
        pool.give_back(mine.owner)
        if not fault.has_fired:
            break
        steps += 1
        other = Wrapper()
        holder = borrow(pool, owner=other.owner).taken()
        assert owners.owners() == [], fault.where
        holder.give_back()
    assert steps >= 5
    assert_whole(pool)


def test_after_a_refusal_an_owners_end_is_seen_all_the_same(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow
) -> None:
    """The error of the refusal keeps no reference to the wrapper."""
    pool = make_pool(MAX_CONNS=1)
    driver.capacity = 0
    served = threading.Event()

    def use() -> None:
        wrapper = Wrapper()
        pool.getconn(owner=wrapper.owner)
        served.set()
        del wrapper
        gc.collect()
        await_stats(pool, size=0, reclaimed=1)

    task = Task(use)
    await_stats(pool, waiting=1)
    driver.capacity = None
    inside.end_backoff(pool)
    task.result()
    assert served.is_set()
    assert_whole(pool)


def test_who_shares_an_owner_takes_nothing_from_one_that_waits(make_pool: MakePool, borrow: Borrow) -> None:
    pool = make_pool(MAX_CONNS=1)
    wrapper = Wrapper()
    holder = borrow(pool).taken()
    waiter = borrow(pool, owner=wrapper.owner)
    await_stats(pool, waiting=1)
    pool.give_back(wrapper.owner)
    with pytest.raises(ClientBusy):
        pool.getconn(owner=wrapper.owner)
    assert pool.stats().waiting == 1
    holder.give_back()
    waiter.taken().give_back()
    assert_whole(pool)


def test_who_shares_an_owner_takes_nothing_from_one_that_connects(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow
) -> None:
    pool = make_pool(MAX_CONNS=1)
    wrapper = Wrapper()
    entered, go_on = threading.Event(), threading.Event()
    driver.script("opened", lambda: (entered.set(), go_on.wait(DEADLINE)))
    connecting = borrow(pool, owner=wrapper.owner)
    assert entered.wait(DEADLINE)
    pool.give_back(wrapper.owner)
    with pytest.raises(ClientBusy):
        pool.getconn(owner=wrapper.owner)
    go_on.set()
    connecting.taken().give_back()
    assert driver.peak == 1
    assert_whole(pool)
