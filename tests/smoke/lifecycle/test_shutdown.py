"""The end of a worker: no connection is left, and none is cut off while a task finishes."""

from __future__ import annotations

import os
import re
import signal

import pytest

from tests.support.waiting import eventually

from ..conftest import GREEN, POOLS, StartWorker
from ..workers import Worker, result_of

OPTIONS = {"MAX_CONNS": 5, "CONN_WAIT_TIMEOUT": 60}
#: How soon the server ends sessions (seconds): every two seconds, it checks whether a running query's client is there.
GONE_WITHIN = 8.0
ENDS_WITHIN = 30.0

#: The server's log lines about clients that are gone without a good-bye.
CUT_OFF = re.compile(r"unexpected EOF|connection to client lost|could not receive data|Broken pipe|canceling statement")


def cut_off(worker: Worker) -> list[str]:
    lines = (line for line in worker.server.log.splitlines() if f" {worker.name}: " in line)
    return [line for line in lines if CUT_OFF.search(line)]


def assert_no_connection_left(worker: Worker) -> None:
    eventually(lambda: worker.connections() == 0, f"no connection of {worker.name}", timeout=GONE_WITHIN)


@pytest.mark.parametrize("pool", POOLS)
def test_warm_shutdown_lets_running_tasks_finish(pool: str, start_worker: StartWorker) -> None:
    worker = start_worker(pool, OPTIONS)
    at_once = {"prefork": worker.concurrency, "solo": 1}.get(pool, worker.limit)
    in_all = at_once if pool in ("prefork", "solo") else 2 * at_once
    gate = worker.new_gate()
    tasks = worker.send_many(in_all, "query_until", gate)
    worker.await_active(at_once)
    if pool not in ("prefork", "solo"):
        eventually(lambda: worker.numbers()["waiting"] == in_all - at_once, "the other tasks waiting for a connection")
    worker.send_signal(signal.SIGTERM)
    # Solo handles the signal when its task is over.
    if pool != "solo":
        worker.wait_for_log("Warm shutdown")
    assert worker.active("pg_sleep") == at_once
    worker.open_gate(gate)
    assert worker.wait(ENDS_WITHIN), worker.log[-3000:]
    # When the worker is gone, all sessions that it has closed are gone.
    assert worker.connections() == 0
    assert worker.returncode == 0
    for task in tasks:
        result_of(task)
    assert cut_off(worker) == []
    assert worker.warnings_of_leaks() == []
    assert worker.peak() <= worker.limit


# Celery's threads can't be interrupted; nor can prefork's children, while psycopg2 waits for an answer.
@pytest.mark.parametrize("pool", GREEN)
def test_cold_shutdown_leaves_no_query_and_no_connection(pool: str, start_worker: StartWorker) -> None:
    worker = start_worker(pool, OPTIONS)
    worker.send_many(worker.limit + 10, "sleep_in_query", 600)
    worker.await_active(worker.limit)
    worker.send_signal(signal.SIGQUIT)
    eventually(lambda: worker.active("pg_sleep") == 0, "no query left", timeout=GONE_WITHIN)
    assert worker.wait(ENDS_WITHIN), worker.log[-3000:]
    assert_no_connection_left(worker)
    assert worker.peak() <= worker.limit


@pytest.mark.parametrize("pool", [*GREEN, "threads"])
def test_a_killed_worker_leaves_no_query_and_no_connection(pool: str, start_worker: StartWorker) -> None:
    worker = start_worker(pool, OPTIONS)
    worker.send_many(worker.limit + 10, "sleep_in_query", 600)
    worker.await_active(worker.limit)
    os.kill(worker.pid, signal.SIGKILL)
    assert worker.wait()
    assert_no_connection_left(worker)


def test_prefork_children_that_had_enough_tasks_take_their_connections_along(start_worker: StartWorker) -> None:
    worker = start_worker("prefork", {"MAX_CONNS": 2}, settings={"worker_max_tasks_per_child": 5})
    tasks = worker.send_many(60, "fan_out", 4)
    processes = {process for process, _ in map(result_of, tasks)}
    assert len(processes) >= 60 / 5
    assert worker.connections() <= worker.limit * worker.concurrency
    # Not even while one child is replaced by the next.
    assert worker.peak() <= worker.limit * worker.concurrency
    assert cut_off(worker) == []
