"""Clients: their ends, and one that two greenlets or threads share."""

from __future__ import annotations

import gc
import threading
from pathlib import Path

import pytest

from django_geventpool.errors import ClientBusy
from django_geventpool.pool import client as clients
from django_geventpool.pool.client import Client
from tests.support import inside
from tests.support.lines import LineFault
from tests.support.pool_states import assert_whole, await_stats
from tests.support.scripted import ScriptedDriver
from tests.support.tasks import Task
from tests.support.waiting import DEADLINE

from .conftest import Borrow, MakePool


class Owner:
    """The object that a client stands for."""

    def __init__(self) -> None:
        self.client = Client(self)


def test_what_a_client_has_comes_back_with_its_end(driver: ScriptedDriver, make_pool: MakePool) -> None:
    pool = make_pool(MAX_CONNS=1)
    for number in range(1, 4):
        owner = Owner()
        pool.getconn(client=owner.client)
        del owner
        await_stats(pool, size=0, reclaimed=number)
    assert not driver.live


def test_a_client_has_one_connection_at_a_time(make_pool: MakePool) -> None:
    pool = make_pool(MAX_CONNS=2)
    owner = Owner()
    assert pool.getconn(client=owner.client) is pool.getconn(client=owner.client)
    assert pool.stats().in_use == 1
    pool.give_back(owner.client)
    pool.give_back(owner.client)
    assert_whole(pool)


def test_what_a_finalizer_asks_for_while_a_client_settles_is_not_forgotten(make_pool: MakePool) -> None:
    """The finalizer runs at each line of the giving back in turn."""
    pool = make_pool(MAX_CONNS=2)
    owner = Owner()
    lines = 0
    while True:
        pool.getconn(client=owner.client)
        fault = LineFault((Path(clients.__file__),), lines + 1, "line", act=lambda: pool.getconn(client=owner.client))
        with fault.armed():
            pool.give_back(owner.client)
        if not fault.has_fired:
            break
        lines += 1
        assert pool.stats().in_use == 1
        assert owner.client.connection is not None, fault.where
        pool.give_back(owner.client)
        assert pool.stats().in_use == 0, fault.where
    assert lines >= 3
    assert_whole(pool)


def test_after_a_refusal_a_clients_end_is_seen_all_the_same(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow
) -> None:
    """The error of the refusal keeps no reference to the owner."""
    pool = make_pool(MAX_CONNS=1)
    driver.capacity = 0
    served = threading.Event()

    def use() -> None:
        owner = Owner()
        pool.getconn(client=owner.client)
        served.set()
        del owner
        gc.collect()
        await_stats(pool, size=0, reclaimed=1)

    task = Task(use)
    await_stats(pool, waiting=1)
    driver.capacity = None
    inside.end_backoff(pool)
    task.result()
    assert served.is_set()
    assert_whole(pool)


def test_who_shares_a_client_takes_nothing_from_one_that_waits(make_pool: MakePool, borrow: Borrow) -> None:
    pool = make_pool(MAX_CONNS=1)
    owner = Owner()
    holder = borrow(pool).taken()
    waiter = borrow(pool, client=owner.client)
    await_stats(pool, waiting=1)
    pool.give_back(owner.client)
    with pytest.raises(ClientBusy):
        pool.getconn(client=owner.client)
    assert pool.stats().waiting == 1
    holder.give_back()
    waiter.taken().give_back()
    assert_whole(pool)


def test_who_shares_a_client_takes_nothing_from_one_that_connects(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow
) -> None:
    pool = make_pool(MAX_CONNS=1)
    owner = Owner()
    entered, go_on = threading.Event(), threading.Event()
    driver.script("opened", lambda: (entered.set(), go_on.wait(DEADLINE)))
    connecting = borrow(pool, client=owner.client)
    assert entered.wait(DEADLINE)
    pool.give_back(owner.client)
    with pytest.raises(ClientBusy):
        pool.getconn(client=owner.client)
    go_on.set()
    connecting.taken().give_back()
    assert driver.peak == 1
    assert_whole(pool)
