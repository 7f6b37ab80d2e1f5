"""Tasks that are revoked or take too long, and commands that change the worker."""

from __future__ import annotations

import pytest
from celery.exceptions import SoftTimeLimitExceeded, TaskRevokedError, TimeLimitExceeded

from tests.smoke.watched_worker import result_of
from tests.support.waiting import eventually

from .cluster_worker import ClusterWorker, pools, pools_once, results_of


@pools_once()
def test_revoked_tasks_that_wait(worker: ClusterWorker) -> None:
    tasks = worker.send_many(5, "double", 1, countdown=5)
    eventually(lambda: len(worker.control("scheduled")) == 5, "5 tasks that wait for their time")
    worker.control("revoke", task_id=[task.id for task in tasks])
    for task in tasks:
        with pytest.raises(TaskRevokedError):
            result_of(task)


# With results in the database, a worker that revokes needs a connection itself, and must not have to wait for it.
# Celery's threads can't be terminated.
@pools("gevent", "eventlet", "prefork")
def test_revoked_tasks_that_run(worker: ClusterWorker) -> None:
    tasks = worker.send_many(worker.at_once, "sleep_in_query", 600)
    worker.await_busy(worker.at_once)
    worker.revoke(tasks)
    eventually(lambda: worker.active("pg_sleep") == 0, "no query left")
    for task in tasks:
        with pytest.raises(TaskRevokedError):
            result_of(task)
    assert results_of(worker.send_many(20, "double", 2)) == [4] * 20


@pools("gevent", "prefork")
def test_hard_time_limits(worker: ClusterWorker) -> None:
    tasks = worker.send_many(worker.at_once, "sleep_in_query", 600, time_limit=5)
    worker.await_busy(worker.at_once)
    for task in tasks:
        with pytest.raises(TimeLimitExceeded):
            result_of(task)
    eventually(lambda: worker.active("pg_sleep") == 0, "no query left")
    assert results_of(worker.send_many(20, "double", 2)) == [4] * 20


# Other classes of pools have none. In the middle of a query, psycopg2 would not hear of it.
@pools_once("prefork")
def test_soft_time_limits(worker: ClusterWorker) -> None:
    for task in worker.send_many(4, "hold_for", 600, soft_time_limit=1):
        with pytest.raises(SoftTimeLimitExceeded):
            result_of(task)


# Celery's pool of threads doesn't change its size.
@pools_once("gevent", "eventlet", "prefork")
@pytest.mark.own_worker(processes=5)
def test_the_workers_pool_grows_and_shrinks(worker: ClusterWorker) -> None:
    for command, size in [("pool_grow", worker.concurrency + 2), ("pool_shrink", worker.concurrency)]:
        assert "ok" in worker.control(command, n=2)
        gate = worker.new_gate()
        tasks = worker.send_many(size + 2, "query_until", gate)
        worker.await_busy(size)
        worker.open_gate(gate)
        results_of(tasks)


@pools_once("gevent", "eventlet", "prefork")
@pytest.mark.own_worker("--autoscale=8,2", processes=9)
def test_autoscale(worker: ClusterWorker) -> None:
    gate = worker.new_gate()
    tasks = worker.send_many(12, "query_until", gate)
    worker.await_busy(8)
    worker.open_gate(gate)
    results_of(tasks)
