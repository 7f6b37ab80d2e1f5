"""Many tasks share a few connections, with each of Celery's ways to combine and delay them."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

from celery import chain, group
from pytest_celery import CeleryTestSetup

from tests.smoke.watched_worker import result_of
from tests.support.waiting import eventually

from .cluster_worker import ClusterWorker, pools_once, results_of

pytestmark = pools_once()


def test_the_setup_is_ready(celery_setup: CeleryTestSetup) -> None:
    assert celery_setup.ready(ping=True, control=True)
    assert len(celery_setup) == 3


def test_many_tasks(worker: ClusterWorker) -> None:
    assert results_of(worker.send_many(100, "double", 21)) == [42] * 100
    assert worker.opened() > 0


def test_a_group(worker: ClusterWorker) -> None:
    tasks = group(worker.signature("double", number) for number in range(30))
    assert results_of(tasks.apply_async()) == [2 * number for number in range(30)]


def test_a_chain(worker: ClusterWorker) -> None:
    tasks = chain(worker.signature("double", 1), *[worker.signature("double")] * 5)
    assert result_of(tasks.apply_async()) == 64


def test_chords(worker: ClusterWorker) -> None:
    bodies = [worker.client.AsyncResult(body) for body in results_of(worker.send_many(5, "start_chord", 10))]
    assert results_of(bodies) == [90] * 5


def test_retries(worker: ClusterWorker) -> None:
    assert results_of(worker.send_many(10, "succeed_at_try", 3)) == [2] * 10


def test_countdown_and_eta(worker: ClusterWorker) -> None:
    start = time.monotonic()
    eta = datetime.now(tz=timezone.utc) + timedelta(seconds=5)
    tasks = [*worker.send_many(10, "double", 1, countdown=5), *worker.send_many(10, "double", 1, eta=eta)]
    eventually(lambda: len(worker.control("scheduled")) == 20, "20 tasks that wait for their time")
    # Tasks that wait for their time have no connection.
    assert worker.is_quiet()
    assert results_of(tasks) == [2] * 20
    assert time.monotonic() - start >= 4.9


def test_a_rate_limit(worker: ClusterWorker) -> None:
    task = "smoke_project.tasks.double"
    worker.control("rate_limit", task_name=task, rate_limit="10/s")
    try:
        start = time.monotonic()
        results_of(worker.send_many(15, "double", 1))
        assert time.monotonic() - start >= 1
    finally:
        worker.control("rate_limit", task_name=task, rate_limit=0)


def test_late_acknowledgement(worker: ClusterWorker) -> None:
    assert results_of(worker.send_many(30, "double_acknowledged_late", 3)) == [6] * 30
