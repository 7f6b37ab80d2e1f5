"""Two holders that give one connection back at the same time: only one touches it, as it may be lent by then."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from django_geventpool.pool import Pool
from django_geventpool.pool.owner import Owner
from tests.support import inside
from tests.support.interruptions import interruptions
from tests.support.pool_states import assert_whole, await_stats
from tests.support.scripted import ScriptedDriver
from tests.support.tasks import Task
from tests.support.waiting import DEADLINE, eventually

from .conftest import Borrow, MakePool

#: Gives back the connection of an owner, as Django's wrappers do, or a connection by itself.
GiveBack = Callable[[Pool, "Wrapper", Any], object]

WAYS = pytest.mark.parametrize(
    "give_back",
    [
        pytest.param(lambda pool, wrapper, _connection: pool.give_back(wrapper.owner), id="owner"),
        pytest.param(lambda pool, _wrapper, connection: pool.putconn(connection), id="connection"),
    ],
)


class Wrapper:
    """The object that an owner stands for."""

    def __init__(self) -> None:
        self.owner = Owner(self)


class Gate:
    """A step of the driver that waits until it is told to go on."""

    def __init__(self, driver: ScriptedDriver) -> None:
        self._entered, self._told = threading.Event(), threading.Event()
        driver.script("reset", self._pass)

    def _pass(self) -> None:
        self._entered.set()
        assert self._told.wait(DEADLINE)

    def await_entered(self) -> None:
        assert self._entered.wait(DEADLINE)

    @property
    def is_entered(self) -> bool:
        return self._entered.is_set()

    def open(self) -> None:
        self._told.set()


@WAYS
def test_the_second_does_nothing_to_what_is_lent_on(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow, give_back: GiveBack
) -> None:
    pool = make_pool(MAX_CONNS=1)
    wrapper = Wrapper()
    connection = pool.getconn(owner=wrapper.owner)
    gate, second_gate = Gate(driver), Gate(driver)
    first = Task(give_back, pool, wrapper, connection)
    gate.await_entered()
    second = Task(give_back, pool, wrapper, connection)
    eventually(lambda: second.ended or second_gate.is_entered, "the second to be over or in the middle of it")
    gate.open()
    first.result()
    other = borrow(pool).taken()
    assert other.connection is connection
    is_touched = not second.ended
    second_gate.open()
    second.result()
    assert not is_touched
    assert driver.count("reset") == 1
    assert pool.stats().in_use == 1
    other.give_back()
    pool.give_back(wrapper.owner)
    assert_whole(pool)
    assert driver.count("close") == 0


@WAYS
def test_who_gives_back_in_the_middle_of_giving_back_does_nothing(
    driver: ScriptedDriver, make_pool: MakePool, give_back: GiveBack
) -> None:
    """As a signal handler or a finalizer may."""
    pool = make_pool(MAX_CONNS=1)
    wrapper = Wrapper()
    connection = pool.getconn(owner=wrapper.owner)
    driver.script("reset", lambda: give_back(pool, wrapper, connection))
    give_back(pool, wrapper, connection)
    assert driver.count("reset") == 1
    pool.give_back(wrapper.owner)
    assert pool.stats().idle == 1
    assert_whole(pool)


@WAYS
@pytest.mark.parametrize("error", interruptions(), ids=lambda error: type(error).__name__)
def test_the_first_is_interrupted(
    driver: ScriptedDriver, make_pool: MakePool, give_back: GiveBack, error: BaseException
) -> None:
    pool = make_pool(MAX_CONNS=1)
    wrapper = Wrapper()
    connection = pool.getconn(owner=wrapper.owner)
    gate = threading.Event()
    entered = threading.Event()

    def interrupt() -> None:
        entered.set()
        assert gate.wait(DEADLINE)
        raise error

    driver.script("reset", interrupt)
    first = Task(give_back, pool, wrapper, connection)
    assert entered.wait(DEADLINE)
    give_back(pool, wrapper, connection)
    gate.set()
    first.wait()
    assert first.error is error
    await_stats(pool, size=0, reclaimed=0)
    pool.give_back(wrapper.owner)
    assert_whole(pool)


def test_who_asks_while_another_gives_back_is_served(driver: ScriptedDriver, make_pool: MakePool) -> None:
    pool = make_pool(MAX_CONNS=2)
    wrapper = Wrapper()
    before = pool.getconn(owner=wrapper.owner)
    gate = Gate(driver)
    first = Task(pool.give_back, wrapper.owner)
    gate.await_entered()
    connection = pool.getconn(owner=wrapper.owner)
    assert connection is not before
    gate.open()
    first.result()
    assert wrapper.owner.connection is connection
    assert pool.stats().in_use == 1
    pool.give_back(wrapper.owner)
    assert_whole(pool)


def test_what_comes_back_after_its_holder_has_ended_is_not_called_abandoned(
    driver: ScriptedDriver, make_pool: MakePool
) -> None:
    pool = make_pool(MAX_CONNS=1)
    wrapper = Wrapper()
    told = threading.Event()

    def take() -> Any:
        connection = pool.getconn(owner=wrapper.owner)
        assert told.wait(DEADLINE)
        return connection

    gate = Gate(driver)
    holder: Task[Any] | None = Task(take)
    await_stats(pool, in_use=1)
    giver = Task(pool.give_back, wrapper.owner)
    gate.await_entered()
    told.set()
    connection = holder.result() if holder is not None else None
    holder = None
    pool.wake()
    eventually(lambda: inside.is_housekeeper_settled(pool), "a look")
    before = inside.wakes_at(pool)
    pool.wake()
    eventually(lambda: inside.wakes_at(pool) > before, "the housekeeper to have looked")
    assert pool.stats().reclaimed == 0
    gate.open()
    giver.result()
    assert pool.stats().idle == 1
    assert connection in driver.live
    assert_whole(pool)


def test_who_can_go_no_deeper_hears_of_it(make_pool: MakePool) -> None:
    """At any depth of the stack: a connection that was not given back isn't taken for one that another gives back."""
    pool = make_pool(MAX_CONNS=1)
    wrapper = Wrapper()

    def give_back(depth: int) -> None:
        if depth:
            give_back(depth - 1)
        else:
            pool.give_back(wrapper.owner)

    outcomes = set()
    for depth in range(sys.getrecursionlimit()):
        pool.getconn(owner=wrapper.owner)
        try:
            give_back(depth)
        except RecursionError:
            outcomes.add("told")
        else:
            outcomes.add("given back")
            assert wrapper.owner.connection is None, depth
    assert outcomes == {"told", "given back"}
    pool.give_back(wrapper.owner)
    assert_whole(pool)
