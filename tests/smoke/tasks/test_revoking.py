"""Revoking tasks that hold all of a worker's connections, with results in the same database."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from tests.support.waiting import eventually

from ..conftest import GREEN, RESULTS_APPS, StartWorker
from ..workers import Worker

pytestmark = pytest.mark.usefixtures("results_table")

#: More than any test here takes: who waits for a connection that doesn't come fails the test.
NEVER = 300


def start(start_worker: StartWorker, pool: str, limit: int, **arguments: Any) -> Worker:
    options = {"MAX_CONNS": limit, "CONN_WAIT_TIMEOUT": arguments.pop("wait", NEVER)}
    options["POOL_MODE"] = arguments.pop("mode", "session")
    settings = {"result_backend": "django-db", "include": ["smoke_project.revoked"], **arguments.pop("settings", {})}
    worker = start_worker(pool, options, apps=RESULTS_APPS, settings=settings, **arguments)
    worker.await_answer()
    return worker


def count(worker: Worker, tasks: list[Any], status: str) -> int:
    ids = ", ".join(f"'{task.id}'" for task in tasks)
    rows = worker.server.query(
        f"SELECT count(*) FROM django_celery_results_taskresult WHERE status = '{status}' AND task_id IN ({ids})"
    )
    return int(rows[0][0])


def await_status(worker: Worker, tasks: list[Any], status: str) -> None:
    eventually(lambda: count(worker, tasks, status) == len(tasks), f"{len(tasks)} times {status}")


def await_waiting(worker: Worker, number: int) -> None:
    eventually(lambda: worker.numbers()["waiting"] == number, f"{number} requests that wait")


def assert_nothing_is_held(worker: Worker) -> None:
    eventually(worker.is_quiet, "a quiet pool")
    gate = worker.new_gate()
    tasks = worker.send_many(worker.limit, "query_until", gate)
    worker.await_active(worker.limit)
    worker.open_gate(gate)
    await_status(worker, tasks, "SUCCESS")
    eventually(worker.is_quiet, "a quiet pool")
    assert worker.peak() <= worker.limit
    assert worker.numbers()["reclaimed"] == 0
    assert worker.warnings_of_leaks() == []
    assert "PoolTimeout" not in worker.log


@pytest.mark.parametrize(
    ("pool", "limit", "mode"),
    [
        # Of any two, each value with each.
        ("gevent", 1, "session"),
        ("gevent", 5, "transaction"),
        ("eventlet", 1, "transaction"),
        ("eventlet", 5, "session"),
    ],
)
def test_revoked_tasks_that_fill_the_pool_are_killed_before_their_results_are_stored(
    pool: str, limit: int, mode: str, start_worker: StartWorker
) -> None:
    worker = start(start_worker, pool, limit, mode=mode)
    tasks = worker.send_many(20, "sleep_in_query", 600)
    worker.await_active(limit)
    await_waiting(worker, 20 - limit)
    quick = worker.send_many(60, "double", 21)
    worker.revoke(tasks)
    eventually(lambda: worker.active("pg_sleep") == 0, "no query left")
    await_status(worker, tasks, "REVOKED")
    await_status(worker, quick, "SUCCESS")
    # As with results elsewhere, the states are stored when the signal is sent.
    assert worker.control("states_when_revoked") == {task.id: "REVOKED" for task in tasks}
    assert_nothing_is_held(worker)


@pytest.mark.parametrize("pool", GREEN)
def test_results_of_waiting_tasks_keep_neither_commands_nor_kills_waiting(pool: str, start_worker: StartWorker) -> None:
    worker = start(start_worker, pool, 2)
    running = worker.send_many(2, "sleep_in_query", 600)
    worker.await_active(2)
    waiting = worker.send_many(10, "sleep_in_query", 600)
    await_waiting(worker, 10)
    unknown = [type(waiting[0])(f"{worker.name}-later-{number}") for number in range(3)]
    # None of their states can be stored, as no task gives back.
    worker.revoke([*waiting[:5], *unknown])
    await_waiting(worker, 5 + 1)
    worker.revoke(waiting[5:])
    await_waiting(worker, 1)
    assert count(worker, waiting, "REVOKED") == 0
    assert worker.active("pg_sleep") == 2
    worker.revoke(running)
    await_status(worker, [*running, *waiting], "REVOKED")
    for task in unknown:
        worker.send("double", 1, task_id=task.id)
    await_status(worker, unknown, "REVOKED")
    assert_nothing_is_held(worker)


@pytest.mark.parametrize("pool", GREEN)
def test_a_command_that_waits_for_a_connection_keeps_no_other_waiting(pool: str, start_worker: StartWorker) -> None:
    worker = start(start_worker, pool, 1)
    task = worker.send("sleep_in_query", 600)
    worker.await_active(1)
    worker.client.control.broadcast("count_tables", destination=[worker.hostname])
    await_waiting(worker, 1)
    worker.send_many(3, "double", 21)
    await_waiting(worker, 4)
    worker.revoke([task])
    await_status(worker, [task], "REVOKED")
    assert_nothing_is_held(worker)


@pytest.mark.parametrize("pool", [*GREEN, "threads"])
def test_an_unknown_task_in_a_full_pool_does_not_end_the_worker(pool: str, start_worker: StartWorker) -> None:
    worker = start(start_worker, pool, 1, wait=1)
    gate = worker.new_gate()
    task = worker.send("query_until", gate)
    worker.await_active(1)
    unknown = worker.send("no_such_task")
    await_waiting(worker, 1)
    # When a task times out, work that waits no longer than tasks do would have failed too.
    worker.send("double", 1, ignore_result=True)
    worker.wait_for_log("PoolTimeout")
    assert worker.is_running
    worker.open_gate(gate)
    await_status(worker, [unknown], "FAILURE")
    await_status(worker, [task], "SUCCESS")


def test_threads_store_what_was_revoked_while_their_pool_is_full(start_worker: StartWorker) -> None:
    worker = start(start_worker, "threads", 1)
    gate = worker.new_gate()
    task = worker.send("query_until", gate)
    worker.await_active(1)
    ids = [f"{worker.name}-{number}" for number in range(3)]
    worker.control("revoke", task_id=ids)
    revoked = [worker.send("double", 1, task_id=task_id) for task_id in ids]
    eventually(lambda: worker.log.count("Discarding revoked task") == 3, "revoked tasks that came")
    worker.open_gate(gate)
    await_status(worker, revoked, "REVOKED")
    await_status(worker, [task], "SUCCESS")
    assert_nothing_is_held(worker)


@pytest.mark.parametrize("pool", GREEN)
def test_what_is_not_stored_yet_is_stored_before_the_worker_ends(pool: str, start_worker: StartWorker) -> None:
    worker = start(start_worker, pool, 1)
    gate = worker.new_gate()
    task = worker.send("query_until", gate)
    worker.await_active(1)
    waiting = worker.send_many(5, "double", 21)
    await_waiting(worker, 5)
    worker.revoke(waiting)
    await_waiting(worker, 1)
    worker.send_signal(signal.SIGTERM)
    worker.wait_for_log("Warm shutdown")
    worker.open_gate(gate)
    assert worker.wait(30), worker.log[-3000:]
    assert count(worker, waiting, "REVOKED") == 5
    assert count(worker, [task], "SUCCESS") == 1


@pytest.mark.parametrize("pool", ["gevent"])
def test_a_worker_that_ends_in_a_hurry_names_what_it_could_not_store(pool: str, start_worker: StartWorker) -> None:
    worker = start(start_worker, pool, 1)
    worker.send("sleep_in_query", 600)
    worker.await_active(1)
    waiting = worker.send_many(2, "double", 21)
    await_waiting(worker, 2)
    worker.revoke(waiting)
    await_waiting(worker, 1)
    worker.send_signal(signal.SIGQUIT)
    assert worker.wait(30), worker.log[-3000:]
    stored = count(worker, waiting, "REVOKED")
    named = sum(f"id '{task.id}', could not be stored" in worker.log for task in waiting)
    assert stored + named >= 2
