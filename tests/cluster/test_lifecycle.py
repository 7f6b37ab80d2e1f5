"""Workers that end and come back.

Of green workers' cold shutdown, see test_shutdown.py in tests/smoke/lifecycle: from within its signal handler, Celery
5.7 stores where each task stands, which no result backend can that is reached over a network.
"""

from __future__ import annotations

from typing import Any

import pytest
from celery.result import AsyncResult

from tests.support.waiting import eventually

from .cluster_worker import ClusterWorker, pools, pools_once, results_of


def cut_off(worker: ClusterWorker) -> list[str]:
    """Return the server's log lines about connections of the worker that ended without a good-bye."""
    lines = (line for line in worker.server.log.splitlines() if f" {worker.name}: " in line)
    return [line for line in lines if "unexpected EOF" in line or "connection to client lost" in line]


@pytest.mark.own_worker
def test_warm_shutdown(worker: ClusterWorker) -> None:
    gate = worker.new_gate()
    running = worker.at_once if worker.pool == "prefork" else 2 * worker.at_once
    tasks = worker.send_many(running, "query_until", gate)
    worker.await_busy(running)
    worker.node.kill("SIGTERM")
    worker.node.assert_log_exists("Warm shutdown")
    worker.open_gate(gate)
    worker.await_end()
    assert worker.connections() == 0
    results_of(tasks)
    assert cut_off(worker) == []


def send_a_load(worker: ClusterWorker) -> list[AsyncResult[Any]]:
    """Send tasks that take seconds together; return when some are done."""
    tasks = worker.send_many(40 * worker.limit, "double_acknowledged_late", 3)
    eventually(lambda: tasks[worker.limit].ready(), "some tasks that are done")
    return tasks


# In such a moment billiard lets prefork's children wait for half a minute for what they have said to be heard.
@pools_once("gevent", "eventlet", "threads")
@pytest.mark.own_worker
def test_a_restart_under_load_loses_no_task(worker: ClusterWorker) -> None:
    tasks = send_a_load(worker)
    worker.node.restart()
    assert results_of(tasks) == [6] * len(tasks)
    worker.await_answer()


# Redis delivers tasks of a killed worker again after its visibility timeout, by default an hour.
@pools("gevent", "eventlet", "threads", "prefork", broker="rabbitmq")
@pytest.mark.own_worker
def test_a_crash_under_load_loses_no_task(worker: ClusterWorker) -> None:
    tasks = send_a_load(worker)
    worker.node.kill()
    eventually(lambda: worker.connections() == 0, "no connection of the worker that is gone")
    worker.node.restart()
    assert results_of(tasks) == [6] * len(tasks)
    worker.await_answer()
