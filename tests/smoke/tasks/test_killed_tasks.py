"""Tasks that are revoked or exceed a time limit in the middle of a query leave nothing behind."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.waiting import eventually

from ..conftest import GREEN
from ..workers import Worker, result_of

SharedWorkers = Callable[[str], Worker]

#: Within this time, the server stops a killed task's query (seconds).
STOPPED_WITHIN = 5.0


@pytest.fixture(params=GREEN)
def green_worker(request: pytest.FixtureRequest, shared_workers: SharedWorkers) -> Worker:
    return shared_workers(request.param)


@pytest.fixture
def gevent_worker(shared_workers: SharedWorkers) -> Worker:
    """A worker of the one green pool that has time limits."""
    return shared_workers("gevent")


@pytest.fixture
def prefork_worker(shared_workers: SharedWorkers) -> Worker:
    return shared_workers("prefork")


def assert_no_query_left(worker: Worker) -> None:
    eventually(lambda: worker.active("pg_sleep") == 0, "no query left", timeout=STOPPED_WITHIN)


def test_revoked_in_mid_query_or_waiting_for_a_connection(green_worker: Worker) -> None:
    worker = green_worker
    tasks = worker.send_many(worker.limit + 15, "sleep_in_query", 600)
    worker.await_active(worker.limit)
    eventually(lambda: worker.numbers()["waiting"] == 15, "15 tasks waiting for a connection")
    worker.revoke(tasks)
    assert_no_query_left(worker)
    eventually(worker.is_quiet, "a quiet pool")
    worker.assert_whole()
    assert all(task.state == "REVOKED" for task in tasks)


def test_some_revoked_in_mid_query_make_room_for_those_that_wait(green_worker: Worker) -> None:
    worker = green_worker
    evicted = worker.send_many(worker.limit, "sleep_in_query", 600)
    worker.await_active(worker.limit)
    waiting = worker.send_many(30, "double", 21)
    eventually(lambda: worker.numbers()["waiting"] == 30, "30 tasks waiting for a connection")
    worker.revoke(evicted[:5])
    assert {result_of(task) for task in waiting} == {42}
    worker.await_active(worker.limit - 5)
    worker.revoke(evicted[5:])
    assert_no_query_left(worker)
    worker.assert_whole()


def test_hard_time_limit_in_mid_query_or_waiting_for_a_connection(gevent_worker: Worker) -> None:
    worker = gevent_worker
    tasks = worker.send_many(worker.limit + 15, "sleep_in_query", 600, time_limit=4)
    worker.await_active(worker.limit)
    ends = []
    for task in tasks:
        # Those that wait are told just before; one that does get a connection then is in a query, too.
        with pytest.raises(Exception, match=r"TimeLimitExceeded|the task's hard time limit of 4 s") as caught:
            result_of(task)
        ends.append(type(caught.value).__name__)
    assert len(ends) - ends.count("PoolTimeout") >= worker.limit
    assert_no_query_left(worker)
    worker.assert_whole()


@pytest.mark.parametrize("forget", [False, True], ids=["close_connection", "without close_connection"])
def test_a_revoked_task_that_spawned_greenlets(green_worker: Worker, forget: bool) -> None:
    worker = green_worker
    gate = worker.new_gate()
    task = worker.send("fan_out_until", 30, gate, forget)
    worker.await_active(worker.limit)
    eventually(lambda: worker.numbers()["waiting"] == 30 - worker.limit, "the other greenlets waiting for a connection")
    worker.revoke([task])
    assert task.state == "REVOKED"
    # The greenlets that the task has started live on, and each of them gets a connection in turn.
    assert worker.active("pg_sleep") == worker.limit
    assert worker.numbers()["waiting"] == 30 - worker.limit
    worker.open_gate(gate)
    worker.assert_whole()


def test_prefork_revoked_in_mid_query(prefork_worker: Worker) -> None:
    worker = prefork_worker
    tasks = worker.send_many(worker.concurrency, "sleep_in_query", 600)
    worker.await_active(worker.concurrency)
    worker.revoke(tasks)
    assert_no_query_left(worker)
    assert_children_work(worker)


def test_prefork_hard_time_limit_in_mid_query(prefork_worker: Worker) -> None:
    worker = prefork_worker
    task = worker.send("sleep_in_query", 600, time_limit=5)
    worker.await_active(1)
    with pytest.raises(Exception, match="TimeLimitExceeded"):
        result_of(task)
    assert_no_query_left(worker)
    assert_children_work(worker)


def test_prefork_pool_restart(prefork_worker: Worker) -> None:
    worker = prefork_worker
    before = {process for process, _ in map(result_of, worker.send_many(20, "fan_out", 2))}
    worker.control("pool_restart")
    after: set[int] = set()

    def children_are_new() -> bool:
        after.clear()
        after.update(process for process, _ in map(result_of, worker.send_many(20, "fan_out", 2)))
        return not after & before

    eventually(children_are_new, "new processes")
    assert_children_work(worker)


@pytest.mark.parametrize("pool", [*GREEN, "threads"])
def test_pool_restart_is_survived_where_it_does_nothing(pool: str, shared_workers: SharedWorkers) -> None:
    worker = shared_workers(pool)
    worker.control("pool_restart")
    worker.assert_whole()


def assert_children_work(worker: Worker) -> None:
    """Assert that each child has the connection that it needs, and that children that are gone have none."""
    assert {result_of(task) for task in worker.send_many(20, "double", 21)} == {42}
    gate = worker.new_gate()
    tasks = worker.send_many(worker.concurrency, "query_until", gate)
    worker.await_active(worker.concurrency)
    worker.open_gate(gate)
    assert len({result_of(task) for task in tasks}) == worker.concurrency
    assert worker.connections() <= worker.limit * worker.concurrency
