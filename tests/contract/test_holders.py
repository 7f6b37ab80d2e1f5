"""Law 9: a holder that ends without giving back is found at once, and its connection reclaimed, with a warning."""

from __future__ import annotations

import gc
import math
import threading

import pytest

from django_geventpool.pool import alarms
from django_geventpool.pool import holder as holders
from django_geventpool.pool.owner import Owner
from tests.support import inside
from tests.support.borrower import Borrower
from tests.support.pool_states import assert_whole, await_stats, queue_up
from tests.support.scripted import ScriptedDriver
from tests.support.tasks import Task
from tests.support.waiting import eventually

from .conftest import Borrow, MakePool


class Wrapper:
    """The object that an owner stands for."""


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_what_an_ended_holder_held_goes_to_the_next_waiter(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow
) -> None:
    pool = make_pool(MAX_CONNS=1)
    holder = borrow(pool).taken()
    (waiter,) = queue_up(pool, lambda: borrow(pool), 1)
    holder.end_without_giving_back()
    assert waiter.taken().connection is not holder.connection
    assert holder.connection.closed
    assert driver.peak == 1
    assert pool.stats().reclaimed == 1


def test_the_warning_names_the_task(
    make_pool: MakePool, borrow: Borrow, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holders, "describe", lambda: "task shop.tasks.pay[42]")
    pool = make_pool(MAX_CONNS=1)
    borrow(pool).taken().end_without_giving_back()
    (text,) = eventually(lambda: warnings(caplog), "a warning")
    assert text == (
        'Pool "test": task shop.tasks.pay[42] ended without giving its connection back; it was closed, and the next '
        "one costs a connect. Greenlets and threads that your code starts need close_connection."
    )


def test_without_a_task_the_warning_names_the_greenlet_or_thread(
    make_pool: MakePool, borrow: Borrow, caplog: pytest.LogCaptureFixture, framework: str
) -> None:
    pool = make_pool(MAX_CONNS=1)
    borrow(pool).taken().end_without_giving_back()
    name = "thread " if framework == "threads" else "greenlet 0x"
    (text,) = eventually(lambda: warnings(caplog), "a warning")
    assert f'Pool "test": {name}' in text


def test_of_those_that_end_in_the_same_way_one_is_named_and_the_others_are_counted(
    make_pool: MakePool, borrow: Borrow, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alarms, "ABANDONED_WARNING_PAUSE", 0.5)
    pool = make_pool(MAX_CONNS=5)
    for number in range(5):
        monkeypatch.setattr(holders, "describe", lambda number=number: f"task shop.tasks.pay[{number}]")
        borrow(pool).taken().end_without_giving_back()
        await_stats(pool, reclaimed=number + 1)
    monkeypatch.setattr(holders, "describe", lambda: "task shop.tasks.ship[42]")
    borrow(pool).taken().end_without_giving_back()
    of_first, of_other, count = eventually(lambda: warnings(caplog)[:3] if len(warnings(caplog)) > 2 else [], "three")
    assert "task shop.tasks.pay[0] ended" in of_first
    assert "task shop.tasks.ship[42] ended" in of_other
    assert count == (
        'Pool "test": 4 more ended since then without giving a connection back, '
        "the last of them task shop.tasks.pay[4]."
    )
    # After a pause with nothing to report, the next one is reported at once again.
    eventually(lambda: inside.next_report_of_abandoned(pool) == math.inf, "nothing more to tell")
    borrow(pool).taken().end_without_giving_back()
    eventually(lambda: len(warnings(caplog)) == 4, "another one")
    assert "task shop.tasks.ship[42] ended" in warnings(caplog)[3]


def test_a_holder_that_fails_gives_up_its_connection(make_pool: MakePool) -> None:
    pool = make_pool(MAX_CONNS=1)

    def fail() -> None:
        pool.getconn()
        raise ZeroDivisionError

    for number in range(1, 4):
        with pytest.raises(ZeroDivisionError):
            Task(fail).result()
        await_stats(pool, reclaimed=number, size=0)
    assert_whole(pool)


def test_many_ended_holders_cost_no_capacity(driver: ScriptedDriver, make_pool: MakePool) -> None:
    pool = make_pool(MAX_CONNS=4)
    tasks = [Task(pool.getconn) for _ in range(40)]
    for task in tasks:
        task.result()
    await_stats(pool, reclaimed=40, size=0)
    assert driver.peak <= 4
    assert_whole(pool)


def test_all_that_a_holder_held_is_reclaimed(make_pool: MakePool) -> None:
    pool, other = make_pool(MAX_CONNS=2), make_pool(MAX_CONNS=1)
    Task(lambda: (pool.getconn(), pool.getconn(), other.getconn())).result()
    await_stats(pool, reclaimed=2, size=0)
    await_stats(other, reclaimed=1, size=0)


def test_what_was_given_back_is_not_reclaimed(
    make_pool: MakePool, borrow: Borrow, caplog: pytest.LogCaptureFixture
) -> None:
    pool = make_pool(MAX_CONNS=1)
    first = borrow(pool).taken()
    first.give_back()
    del first
    gc.collect()
    # The same connection stays with its next holder.
    second = borrow(pool).taken()
    gc.collect()
    third = borrow(pool, timeout=0.05)
    third.task.wait()
    assert third.error is not None
    second.give_back()
    await_stats(pool, idle=1, reclaimed=0)
    assert not warnings(caplog)


def test_a_connection_may_be_given_back_by_another(
    make_pool: MakePool, borrow: Borrow, caplog: pytest.LogCaptureFixture
) -> None:
    pool = make_pool(MAX_CONNS=1)
    ready, go_on = threading.Event(), threading.Event()
    taken = []

    def use() -> None:
        taken.append(pool.getconn())
        ready.set()
        go_on.wait()

    task = Task(use)
    assert ready.wait(30)
    pool.putconn(taken[0])
    go_on.set()
    task.result()
    assert borrow(pool).taken().connection is taken[0]
    assert pool.stats().reclaimed == 0
    assert not warnings(caplog)


def test_an_end_noticed_in_the_middle_of_the_pools_own_work_waits_for_nothing(
    driver: ScriptedDriver, make_pool: MakePool
) -> None:
    """A garbage collection may run anywhere, even while this thread holds the pool's lock."""
    pool = make_pool(MAX_CONNS=1)
    pool.getconn()
    (slot,) = inside.slots(pool)
    assert slot.holder is not None

    def end() -> None:
        assert slot.holder is not None
        slot.holder.record_end()
        assert slot in inside.slots(pool)

    inside.under_lock(pool, end)
    await_stats(pool, reclaimed=1, size=0)
    assert not driver.live


def test_a_finalizer_may_give_back_in_the_middle_of_the_pools_own_work(make_pool: MakePool, borrow: Borrow) -> None:
    pool = make_pool(MAX_CONNS=1)
    connection = pool.getconn()
    (waiter,) = queue_up(pool, lambda: borrow(pool), 1)

    def give_back() -> None:
        pool.putconn(connection)
        assert not waiter.has_connection

    inside.under_lock(pool, give_back)
    assert waiter.taken().connection is connection


def test_a_finalizer_that_asks_in_the_middle_of_the_pools_own_work_is_refused(make_pool: MakePool) -> None:
    pool = make_pool(MAX_CONNS=1)
    with pytest.raises(RuntimeError, match="finalizer"):
        inside.under_lock(pool, pool.getconn)
    assert_whole(pool)


def test_what_is_lent_again_before_the_end_is_seen_to_is_not_reclaimed(
    make_pool: MakePool, borrow: Borrow, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool(MAX_CONNS=1)
    monkeypatch.setattr(inside.housekeeper(pool), "start", lambda: None)
    first = borrow(pool).taken()
    (slot,) = inside.slots(pool)
    assert slot.holder is not None
    slot.holder.record_end()
    # Another holder gives it back meanwhile.
    pool.putconn(first.connection)
    second = borrow(pool).taken()
    assert second.connection is first.connection
    monkeypatch.undo()
    inside.keep_house(pool)
    assert pool.stats().reclaimed == 0
    assert pool.stats().in_use == 1
    second.give_back()
    first.tell()
    await_stats(pool, idle=1)


def test_the_end_of_its_life_is_the_end_of_the_holder() -> None:
    told = []
    holder = holders.Holder("somebody", None)
    holder.slots[object()] = lambda: told.append(holder)  # type: ignore[index]
    life = inside.life_of(holder)
    cycle: list[object] = [life]
    cycle.append(cycle)
    assert not holder.has_ended
    del life, cycle
    gc.collect()
    assert told == [holder]
    assert holder.has_ended


@pytest.mark.frameworks("threads")  # Greenlets need no local.
def test_first_holders_of_a_process_that_ask_at_the_same_time_are_all_known(
    make_pool: MakePool, borrow: Borrow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both make the local in which a greenlet or thread finds its holder."""
    pool = make_pool(MAX_CONNS=2)
    inside.forget_holders(monkeypatch)
    faster: list[Borrower] = []
    entered: list[object] = []

    class Local(threading.local):
        def __init__(self) -> None:
            # While this one makes the local, another is faster.
            if not entered:
                entered.append(self)
                faster.append(borrow(pool).taken())

    monkeypatch.setattr(threading, "local", Local)
    connection = pool.getconn()
    inside.keep_house(pool)
    stats = pool.stats()
    assert (stats.in_use, stats.reclaimed) == (2, 0)
    held = [slot.holder for slot in inside.slots(pool) if slot.holder is not None]
    assert not any(holder.has_ended for holder in held)
    assert holders.current() in held
    pool.putconn(connection)
    faster[0].end_without_giving_back()
    await_stats(pool, reclaimed=1)


def test_a_shared_connection_is_not_reclaimed_when_one_of_its_holders_ends(
    make_pool: MakePool, borrow: Borrow, caplog: pytest.LogCaptureFixture
) -> None:
    pool = make_pool(MAX_CONNS=2)
    wrapper, unused = Wrapper(), Wrapper()
    owner = Owner(wrapper)
    holder, other = borrow(pool, owner=owner).taken(), borrow(pool).taken()
    pool.reassign(owner, holders.nobody())
    pool.reassign(Owner(unused), holders.nobody())
    holder.end_without_giving_back()
    # When this later end was reported, the housekeeper has also dealt with the first.
    other.end_without_giving_back()
    eventually(lambda: warnings(caplog), "a warning")
    await_stats(pool, reclaimed=1, in_use=1)
    assert len(warnings(caplog)) == 1
    assert pool.stats().longest_holder == "several threads"
    pool.putconn(holder.connection)
    await_stats(pool, idle=1)
    assert not holder.connection.closed
