"""Law 13: a full server is a full pool, not a failed task."""

from __future__ import annotations

import threading

import pytest

from django_geventpool.errors import PoolClosed, PoolTimeout
from django_geventpool.pool import alarms, nested, server_limit, upkeep
from tests.support import inside
from tests.support.borrower import Borrower
from tests.support.pool_states import assert_whole, await_stats, queue_up
from tests.support.scripted import Refused, ScriptedDriver, ServerFull
from tests.support.tasks import Task, results
from tests.support.waiting import DEADLINE, eventually

from .conftest import Borrow, MakePool


def refusals(driver: ScriptedDriver) -> int:
    """Return how many connects the server has refused."""
    return driver.count("connect") - driver.count("opened")


def refuse_late(driver: ScriptedDriver) -> tuple[threading.Event, threading.Event]:
    """Let the next connect be refused when the second event is set; the first one is set when it has got that far."""
    arrived, answer = threading.Event(), threading.Event()

    def refuse() -> None:
        arrived.set()
        answer.wait()
        raise ServerFull("sorry")

    driver.script("opened", refuse)
    return arrived, answer


def test_all_tasks_get_on_with_what_the_server_has(driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow) -> None:
    pool = make_pool(MAX_CONNS=10)
    driver.capacity = 3
    borrowers = [borrow(pool) for _ in range(100)]
    eventually(lambda: sum(borrower.has_connection for borrower in borrowers) == 3, "all that the server has in use")
    for borrower in borrowers:
        borrower.tell()
    results([borrower.task for borrower in borrowers])
    assert driver.peak == 3
    assert pool.stats().connects == driver.count("opened")
    driver.capacity = None
    assert_whole(pool)


def test_a_request_waits_until_the_server_has_room(driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow) -> None:
    pool = make_pool(MAX_CONNS=2)
    driver.capacity = 0
    borrower = borrow(pool)
    # It tries again by itself: the pool has no connection that could come back.
    eventually(lambda: refusals(driver) >= 3, "more attempts to connect")
    assert not borrower.has_connection
    driver.capacity = 1
    borrower.taken()
    assert pool.stats().connects == 1


def test_the_housekeeper_wakes_at_the_end_of_the_pause(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in ((alarms, "WAIT_WARNING_AFTER"), (nested, "LOOK_EVERY"), (upkeep, "BACKSTOP")):
        monkeypatch.setattr(module, name, 1000.0)  # Nothing else wakes it.
    pool = make_pool(MAX_CONNS=2, CONN_WAIT_TIMEOUT=None, CONN_IDLE_TIMEOUT=None)
    driver.capacity = 0
    borrower = borrow(pool)
    eventually(lambda: refusals(driver) >= 3, "more attempts to connect")
    driver.capacity = 1
    borrower.taken()


def test_a_request_takes_one_of_our_own_connections_that_comes_free(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow
) -> None:
    pool = make_pool(MAX_CONNS=2)
    driver.capacity = 1
    holder = borrow(pool).taken()
    waiter = borrow(pool)
    eventually(lambda: refusals(driver) >= 1 and pool.stats().waiting == 1, "a refused request that waits")
    holder.give_back()
    assert waiter.taken().connection is holder.connection


def test_a_refused_request_keeps_its_place(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Otherwise a request might try again at the moment when a connection comes back, and not wait for it.
    monkeypatch.setattr(server_limit, "BACKOFF", (1000.0, 1000.0))
    pool = make_pool(MAX_CONNS=2)
    order: list[Borrower] = []
    holder = borrow(pool).taken()
    arrived, answer = refuse_late(driver)
    refused = borrow(pool, order=order)
    assert arrived.wait(30)
    # These come later, and are waiting already when the server answers the first.
    later = [borrow(pool, order=order)]
    await_stats(pool, waiting=1)
    later.append(borrow(pool, order=order))
    await_stats(pool, waiting=2)
    driver.capacity = 1
    answer.set()
    await_stats(pool, waiting=3)
    for borrower in (refused, *later):
        borrower.tell()
    holder.give_back()
    for borrower in (refused, *later):
        borrower.task.result()
    assert order == [refused, *later]


def test_requests_pause_between_attempts(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_limit, "BACKOFF", (1000.0, 1000.0))
    pool = make_pool(MAX_CONNS=2)
    driver.capacity = 0
    refused = borrow(pool)
    await_stats(pool, waiting=1, size=0)
    # A newcomer doesn't connect to a server that was full a moment ago.
    with pytest.raises(PoolTimeout):
        pool.getconn(timeout=0)
    assert driver.count("connect") == 1
    driver.capacity = None
    inside.end_backoff(pool)
    refused.taken()


@pytest.mark.parametrize(("size", "most"), [(0, 0.5), (2, 0.5), (3, 0.75), (4, 1.0), (5, 1.0)])
def test_pauses_grow_with_a_jitter_to_more_the_more_connections_there_are(size: int, most: float) -> None:
    drawn: list[tuple[float, float]] = []

    def highest(low: float, high: float) -> float:
        drawn.append((low, high))
        return high

    now = 100.0
    full = server_limit.ServerLimit(lambda: now, highest)
    full.fleet.is_readable = False
    pauses = []
    for _ in range(7):
        full.refused(size, 4)
        full.refused(size, 4)  # Another attempt at the same time.
        pauses.append(full.retry_at - now)
        now = full.retry_at
    assert pauses == pytest.approx([min(pause, most) for pause in (0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0)])
    assert drawn.count((0.5, 1)) == 7


def test_after_a_pause_one_tries_and_one_more_with_each_success(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow
) -> None:
    pool = make_pool(MAX_CONNS=6)
    answers, tried = threading.Semaphore(0), threading.Semaphore(0)
    driver.capacity = 0
    waiters = queue_up(pool, lambda: borrow(pool), 6)
    driver.always("opened", lambda: (tried.release(), answers.acquire()))
    driver.capacity = None
    for opened, connecting in enumerate((1, 2, 3, 3, 2, 1)):
        await_stats(pool, in_use=opened, connecting=connecting, waiting=6 - opened - connecting)
        answers.release()
    assert [tried.acquire(timeout=DEADLINE) for _ in waiters] == [True] * 6
    for waiter in [waiter.taken() for waiter in waiters]:
        waiter.give_back()
    assert_whole(pool)


def test_after_a_success_a_refusal_has_one_at_a_time_try_again(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_limit, "BACKOFF", (1000.0, 1000.0))
    pool = make_pool(MAX_CONNS=20)
    driver.capacity = 0
    waiters = queue_up(pool, lambda: borrow(pool), 20)
    before = refusals(driver)
    for _ in range(3):
        driver.capacity += 1
        inside.end_backoff(pool)
        await_stats(pool, in_use=driver.capacity, connecting=0)
    # After each success, two try. Without the limit, all waiters would.
    assert refusals(driver) - before == 3 * 2
    driver.capacity = None
    inside.end_backoff(pool)
    for waiter in [waiter.taken() for waiter in waiters]:
        waiter.give_back()


def test_another_tries_while_a_failed_connection_is_closed(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_limit, "BACKOFF", (1000.0, 1000.0))
    # Nothing else wakes the housekeeper.
    monkeypatch.setattr(alarms, "WAIT_WARNING_AFTER", 1000.0)
    monkeypatch.setattr(upkeep, "BACKSTOP", 1000.0)
    pool = make_pool(MAX_CONNS=2, CONN_WAIT_TIMEOUT=None)
    driver.capacity = 0
    waiters = queue_up(pool, lambda: borrow(pool), 2)
    await_stats(pool, size=0)
    closed = threading.Event()
    driver.script("opened", Refused("the database system is shutting down"))
    driver.script("close", closed.wait)
    driver.capacity = None
    inside.end_backoff(pool)
    try:
        waiters[1].taken()
        assert pool.stats().closing == 1
    finally:
        closed.set()
    assert isinstance(waiters[0].error, Refused)


def test_a_full_server_ends_in_a_pool_timeout(driver: ScriptedDriver, make_pool: MakePool) -> None:
    pool = make_pool(MAX_CONNS=2, CONN_WAIT_TIMEOUT=0.2)
    driver.capacity = 0
    with pytest.raises(PoolTimeout, match="The server itself has no connection left") as caught:
        Task(pool.getconn).result()
    assert isinstance(caught.value.__cause__, ServerFull)
    assert pool.stats().waiting == 0
    driver.capacity = None
    assert_whole(pool)


@pytest.mark.parametrize("times", [1, 5])
def test_a_refusal_when_the_time_is_up_costs_no_slot(driver: ScriptedDriver, make_pool: MakePool, times: int) -> None:
    pool = make_pool(MAX_CONNS=2, CONN_WAIT_TIMEOUT=0)
    driver.capacity = 0
    for _ in range(times):
        inside.end_backoff(pool, wake=False)
        with pytest.raises(PoolTimeout):
            Task(pool.getconn).result()
        await_stats(pool, size=0)
    assert refusals(driver) == times
    driver.capacity = None
    inside.end_backoff(pool, wake=False)
    pool.putconn(Task(lambda: pool.getconn()).result())


def test_a_request_that_comes_during_the_pause_is_not_forgotten(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow
) -> None:
    """The refused request is gone, and no connection is lent that could come back."""
    pool = make_pool(MAX_CONNS=2)
    driver.capacity = 0
    with pytest.raises(PoolTimeout):
        Task(lambda: pool.getconn(timeout=0)).result()
    driver.capacity = None
    assert borrow(pool, timeout=None).taken().has_connection


def test_the_next_tries_when_the_one_before_was_refused_and_its_time_is_over(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alarms, "WAIT_WARNING_AFTER", 1000.0)
    pool = make_pool(MAX_CONNS=1, CONN_WAIT_TIMEOUT=None)
    arrived, answer = refuse_late(driver)
    first = Task(lambda: pool.getconn(timeout=0))
    assert arrived.wait(DEADLINE)
    (waiter,) = queue_up(pool, lambda: borrow(pool), 1)
    answer.set()
    with pytest.raises(PoolTimeout):
        first.result()
    waiter.taken().give_back()


def test_a_newcomer_does_not_overtake_a_refused_request_when_the_pause_is_over(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_limit, "BACKOFF", (1000.0, 1000.0))
    pool = make_pool(MAX_CONNS=1)
    driver.capacity = 0
    refused = borrow(pool)
    await_stats(pool, waiting=1, size=0)
    driver.capacity = None
    # The pause is over, but the housekeeper has not noticed yet.
    inside.end_backoff(pool, wake=False)
    with pytest.raises(PoolTimeout):
        pool.getconn(timeout=0)
    pool.wake()
    refused.taken()


def test_other_errors_of_connecting_are_raised(driver: ScriptedDriver, make_pool: MakePool) -> None:
    pool = make_pool(MAX_CONNS=2)
    driver.script("opened", ServerFull("sorry"), Refused("the database system is starting up"))
    with pytest.raises(Refused):
        Task(pool.getconn).result()
    await_stats(pool, size=0)
    assert_whole(pool)


def test_a_closing_pool_sends_refused_requests_away(driver: ScriptedDriver, make_pool: MakePool) -> None:
    pool = make_pool(MAX_CONNS=2, CONN_WAIT_TIMEOUT=None)
    arrived, answer = refuse_late(driver)
    task = Task(pool.getconn)
    assert arrived.wait(30)
    pool.close()
    answer.set()
    with pytest.raises(PoolClosed):
        task.result()
    await_stats(pool, size=0)
    assert driver.count("connect") == 1
