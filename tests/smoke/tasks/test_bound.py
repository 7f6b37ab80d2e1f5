"""Many tasks share a few connections, with each class of pool."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.support.waiting import eventually

from ..conftest import GREEN, POOLS
from ..workers import Worker, result_of

SharedWorkers = Callable[[str], Worker]


@pytest.fixture(params=POOLS)
def worker(request: pytest.FixtureRequest, shared_workers: SharedWorkers) -> Worker:
    return shared_workers(request.param)


@pytest.fixture(params=[*GREEN, "threads"])
def concurrent_worker(request: pytest.FixtureRequest, shared_workers: SharedWorkers) -> Worker:
    """A worker that runs 100 tasks at once, with 20 connections."""
    return shared_workers(request.param)


def test_100_sleeping_queries_run_20_at_a_time(concurrent_worker: Worker) -> None:
    worker = concurrent_worker
    # Until the gate is opened, all connections are in use: all tasks are sent by then, however slowly.
    gate = worker.new_gate()
    worker.send_many(worker.limit, "query_until", gate)
    worker.await_active(worker.limit)
    tasks = worker.send_many(100, "sleep_in_query", 1)
    others = worker.concurrency - worker.limit
    eventually(lambda: worker.numbers()["waiting"] == others, "as many tasks waiting as the worker takes")
    start = time.monotonic()
    worker.open_gate(gate)
    worker.await_active(worker.limit, "from pg_sleep")
    pids = [result_of(task) for task in tasks]
    # One after the other they would take 100 seconds.
    assert time.monotonic() - start < 50
    assert len(set(pids)) <= worker.limit
    assert worker.peak() <= worker.limit
    eventually(worker.is_quiet, "a quiet pool")


def test_queries_that_wait_for_the_server_do_not_block_the_worker(concurrent_worker: Worker) -> None:
    worker = concurrent_worker
    gate = worker.new_gate()
    tasks = worker.send_many(100, "query_until", gate)
    worker.await_active(worker.limit)
    # The worker answers while all of its connections execute a query, and the numbers are of that moment.
    eventually(
        lambda: (numbers := worker.numbers())["in_use"] == worker.limit and numbers["waiting"] == 100 - worker.limit,
        "all connections in use and all other tasks waiting",
    )
    assert worker.active("pg_sleep") == worker.limit
    worker.open_gate(gate)
    for task in tasks:
        result_of(task)
    eventually(worker.is_quiet, "a quiet pool")


def test_many_short_tasks_open_no_more_than_max_conns(worker: Worker) -> None:
    before = worker.opened()
    tasks = worker.send_many(500, "double", 21)
    assert {result_of(task) for task in tasks} == {42}
    processes = worker.concurrency if worker.pool == "prefork" else 1
    assert 0 < worker.opened() <= worker.limit * processes
    assert worker.opened() - before <= worker.limit * processes
    assert worker.peak() <= worker.limit * processes
    eventually(worker.is_quiet, "a quiet pool")
    _, numbers = worker.run("process_numbers")
    # Prefork's connections are its children's.
    assert numbers["in_use"] == numbers["waiting"] == 0
    assert 1 <= numbers["size"] <= worker.limit


def test_the_bound_holds_in_each_process(worker: Worker) -> None:
    count = 2 * worker.limit + 2
    tasks = worker.send_many(4, "fan_out", count, 0.05)
    by_process: dict[int, set[int]] = {}
    for process, pids in map(result_of, tasks):
        assert len(pids) == count
        by_process.setdefault(process, set()).update(pids)
    assert len(by_process) <= (worker.concurrency if worker.pool == "prefork" else 1)
    for pids in by_process.values():
        assert 1 < len(pids) <= worker.limit
    assert worker.connections() <= worker.limit * len(by_process)
    eventually(worker.is_quiet, "a quiet pool")


def test_an_eager_task_leaves_its_callers_connection_alone(worker: Worker) -> None:
    facts = worker.run("run_eagerly")
    assert facts
    assert all(facts.values()), facts
    eventually(worker.is_quiet, "a quiet pool")


def test_greenlets_and_threads_of_a_task_give_back_with_close_connection(concurrent_worker: Worker) -> None:
    worker = concurrent_worker
    before = worker.numbers()["reclaimed"]
    _, pids = worker.run("fan_out", 50)
    assert len(pids) == 50
    assert len(set(pids)) <= worker.limit
    eventually(worker.is_quiet, "a quiet pool")
    assert worker.numbers()["reclaimed"] == before


def test_what_greenlets_and_threads_of_a_task_forget_is_reclaimed_and_warned_about(concurrent_worker: Worker) -> None:
    worker = concurrent_worker
    before = worker.numbers()["reclaimed"]
    pids = worker.run("fan_out_and_forget", 50)
    assert len(pids) == 50
    eventually(worker.is_quiet, "a quiet pool")
    assert worker.numbers()["reclaimed"] == before + 50
    # The housekeeper writes the warning. Further ones of the kind are counted, and reported a minute later.
    warning = eventually(worker.warnings_of_leaks, "a warning")[-1]
    if worker.pool in GREEN:
        assert "started by task smoke_project.tasks.fan_out_and_forget[" in warning
    assert worker.peak() <= worker.limit
