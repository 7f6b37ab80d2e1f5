"""Law 3: first come, first served."""

from __future__ import annotations

import pytest

from django_geventpool.pool import holder as holders
from tests.support.borrower import Borrower
from tests.support.pool_states import await_stats, queue_up
from tests.support.scripted import ScriptedDriver
from tests.support.tasks import Task

from .conftest import Borrow, MakePool


def test_waiters_are_served_in_the_order_of_their_asking(make_pool: MakePool, borrow: Borrow) -> None:
    pool = make_pool(MAX_CONNS=1)
    order: list[Borrower] = []
    first = borrow(pool).taken()
    waiters = queue_up(pool, lambda: borrow(pool, order=order), 20)
    for waiter in waiters:
        waiter.tell()
    first.give_back()
    for waiter in waiters:
        waiter.task.result()
    assert order == waiters


def test_a_returned_connection_goes_to_the_longest_waiter_and_to_nobody_else(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow
) -> None:
    pool = make_pool(MAX_CONNS=1)
    first = borrow(pool).taken()
    waiters = queue_up(pool, lambda: borrow(pool), 3)
    first.give_back()
    waiters[0].taken()
    assert waiters[0].connection is first.connection
    assert not any(waiter.has_connection for waiter in waiters[1:])
    assert driver.count("connect") == 1


def test_a_newcomer_never_overtakes(make_pool: MakePool, borrow: Borrow) -> None:
    """A holder that gives back and asks again at once is served after the waiters."""
    pool = make_pool(MAX_CONNS=1)
    order: list[object] = []
    connection = pool.getconn()
    waiters = queue_up(pool, lambda: borrow(pool, order=order), 5)  # type: ignore[arg-type]
    for waiter in waiters:
        waiter.tell()
    pool.putconn(connection)
    # Under gevent and eventlet no other greenlet has run yet: the connection is on its way to the first waiter.
    connection = pool.getconn()
    order.append("newcomer")
    pool.putconn(connection)
    assert order == [*waiters, "newcomer"]


def test_a_newcomer_does_not_take_a_slot_that_a_close_has_freed(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow
) -> None:
    pool = make_pool(MAX_CONNS=1)
    order: list[object] = []
    first = borrow(pool).taken()
    first.connection.dirty = True
    waiters = queue_up(pool, lambda: borrow(pool, order=order), 3)  # type: ignore[arg-type]
    for waiter in waiters:
        waiter.tell()
    first.give_back()
    pool.putconn(pool.getconn())
    assert order == waiters
    assert driver.peak == 1


def test_all_waiters_are_served_when_connections_come_back_at_once(make_pool: MakePool, borrow: Borrow) -> None:
    pool = make_pool(MAX_CONNS=4)
    lenders = [borrow(pool).taken() for _ in range(4)]
    waiters = queue_up(pool, lambda: borrow(pool), 4)
    for lender in lenders:
        lender.give_back()
    assert {waiter.taken().connection for waiter in waiters} == {lender.connection for lender in lenders}


def test_one_holder_may_borrow_several_connections(make_pool: MakePool) -> None:
    pool = make_pool(MAX_CONNS=2)

    def use() -> int:
        both = [pool.getconn(), pool.getconn()]
        for connection in both:
            pool.putconn(connection)
        return len(set(both))

    assert Task(use).result() == 2
    await_stats(pool, in_use=0, idle=2)
    assert pool.stats().reclaimed == 0


def test_the_urgent_go_before_others_in_the_order_of_their_asking(
    make_pool: MakePool, borrow: Borrow, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool(MAX_CONNS=1)
    order: list[Borrower] = []
    first = borrow(pool).taken()
    waiters = queue_up(pool, lambda: borrow(pool, order=order), 3)
    monkeypatch.setattr(holders, "begin_request", lambda: True)
    urgent = queue_up(pool, lambda: borrow(pool, order=order), 2)
    for waiter in (*waiters, *urgent):
        waiter.tell()
    first.give_back()
    for waiter in (*waiters, *urgent):
        waiter.task.result()
    assert order == [*urgent, *waiters]
