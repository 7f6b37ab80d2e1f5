"""Greenlets that are killed, or time out, while they wait for a connection."""

from __future__ import annotations

import pytest

from tests.support import inside
from tests.support.tasks import Interruption, Task, framework_timeout, is_interruption, results
from tests.support.waiting import eventually

from .conftest import MakeDatabase

pytestmark = pytest.mark.frameworks("gevent", "eventlet")

INTERRUPTIONS: tuple[Interruption, ...] = ("kill", "timeout")


@pytest.mark.parametrize("how", INTERRUPTIONS)
def test_interrupted_waiters_lose_no_capacity_and_nobody_is_overtaken(
    make_database: MakeDatabase, how: Interruption
) -> None:
    database = make_database(MAX_CONNS=1)
    database.fetch("select 1")
    served: list[int] = []

    def run(number: int) -> None:
        database.fetch("select 1")
        served.append(number)
        database.give_back()

    waiters = []
    for number in range(20):
        waiters.append(Task(run, number))
        eventually(lambda count=number + 1: database.stats().waiting == count, "the task to wait")
    victims, survivors = waiters[::2], waiters[1::2]
    for victim in victims:
        victim.interrupt(how)
    for victim in victims:
        victim.wait()
        assert is_interruption(victim.error)
    assert database.stats().waiting == len(survivors)
    database.give_back()
    results(survivors)
    assert served == list(range(1, 20, 2))
    database.assert_whole()


@pytest.mark.parametrize("how", INTERRUPTIONS)
def test_a_waiter_interrupted_when_it_is_just_being_served_passes_the_connection_on(
    make_database: MakeDatabase, how: Interruption
) -> None:
    database = make_database(MAX_CONNS=1)
    inside.give_up_the_list(database.pool)  # A look over the connection that comes back would be a switch.
    database.fetch("select 1")
    first = Task(database.answer, "select 1")
    eventually(lambda: database.stats().waiting == 1, "the first task to wait")
    second = Task(database.answer, "select 2")
    eventually(lambda: database.stats().waiting == 2, "the second task to wait")
    # The interruption comes at the next switch; the connection is handed over before that.
    first.interrupt(how)
    database.give_back()
    assert not first.ended
    assert database.stats().waiting == 1, "the first task was not served"
    assert second.result() == [(2,)]
    first.wait()
    assert is_interruption(first.error), repr(first.error)
    database.assert_whole()


def test_200_waiters_that_time_out_leave_the_whole_capacity(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=2, CONN_WAIT_TIMEOUT=None)

    def hold() -> None:
        database.fetch("select pg_sleep(600)")

    def wait() -> None:
        with framework_timeout(0.2):
            database.fetch("select 1")

    holders = [Task(hold) for _ in range(2)]
    database.await_running("pg_sleep(600)", 2)
    waiters = [Task(wait) for _ in range(200)]
    for waiter in waiters:
        waiter.wait()
        assert is_interruption(waiter.error)
    assert database.stats().waiting == 0
    for holder in holders:
        holder.interrupt()
    database.assert_whole()
