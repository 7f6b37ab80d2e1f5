"""The result backend django-celery-results stores some results outside tasks: these leak no connections either."""

from __future__ import annotations

import pytest

from tests.support.waiting import eventually

from ..conftest import GREEN, RESULTS_APPS, StartWorker
from ..workers import Worker

#: Two that leak would stop everything.
LIMIT = 2


@pytest.fixture(scope="module", params=[*GREEN, "threads", "prefork"])
def worker(request: pytest.FixtureRequest, start_module_worker: StartWorker, results_table: None) -> Worker:
    settings = {"result_backend": "django-db", "result_extended": True, "task_track_started": True}
    options = {"MAX_CONNS": LIMIT, "CONN_WAIT_TIMEOUT": 20}
    return start_module_worker(request.param, options, apps=RESULTS_APPS, settings=settings)


@pytest.fixture(autouse=True)
def _nothing_leaks(worker: Worker) -> object:
    yield
    eventually(worker.is_quiet, "a quiet pool")
    assert worker.numbers()["reclaimed"] == 0
    assert worker.warnings_of_leaks() == []
    processes = worker.concurrency + 1 if worker.pool == "prefork" else 1
    assert worker.peak() <= LIMIT * processes
    tasks = worker.send_many(10, "double", 21)
    for task in tasks:
        assert stored(worker, task, "SUCCESS") == "42"
    assert "PoolTimeout" not in worker.log


def stored(worker: Worker, task: object, status: str) -> str:
    """Wait until a task's result is stored with this status, and return the result."""

    def find() -> list[list[str]]:
        return worker.server.query(
            f"SELECT result FROM django_celery_results_taskresult WHERE task_id = '{task.id}' AND status = '{status}'"  # type: ignore[attr-defined]
        )

    return eventually(find, f"{status} of {task}")[0][0]


def test_a_success(worker: Worker) -> None:
    assert stored(worker, worker.send("double", 2), "SUCCESS") == "4"


def test_a_failure(worker: Worker) -> None:
    assert "ValueError" in stored(worker, worker.send("fail"), "FAILURE")


def test_unknown_tasks(worker: Worker) -> None:
    for task in worker.send_many(5, "no_such_task"):
        assert "NotRegistered" in stored(worker, task, "FAILURE")


def test_tasks_revoked_before_they_came(worker: Worker) -> None:
    ids = [f"{worker.name}-revoked-{number}" for number in range(5)]
    for task_id in ids:
        worker.control("revoke", task_id=[task_id])
    for task_id in ids:
        stored(worker, worker.send("double", 1, task_id=task_id), "REVOKED")


def test_expired_tasks(worker: Worker) -> None:
    for task in [worker.send("double", 1, expires=-1) for _ in range(5)]:
        stored(worker, task, "REVOKED")


# Celery's threads can't be terminated.
@pytest.mark.parametrize("worker", [*GREEN, "prefork"], indirect=True)
def test_tasks_revoked_in_mid_query(worker: Worker) -> None:
    tasks = worker.send_many(LIMIT, "sleep_in_query", 600)
    worker.await_active(LIMIT)
    # One by one, so that remote control's greenlet stores each.
    for task in tasks:
        worker.revoke([task])
    for task in tasks:
        stored(worker, task, "REVOKED")


@pytest.mark.parametrize("worker", ["gevent", "prefork"], indirect=True)
def test_tasks_over_their_time_limit(worker: Worker) -> None:
    tasks = worker.send_many(LIMIT, "sleep_in_query", 600, time_limit=3)
    worker.await_active(LIMIT)
    for task in tasks:
        assert "TimeLimitExceeded" in stored(worker, task, "FAILURE")


def test_a_command_that_uses_the_database(worker: Worker) -> None:
    for _ in range(5):
        assert worker.control("count_tables") > 0


@pytest.mark.parametrize("worker", ["prefork"], indirect=True)
def test_a_child_that_dies(worker: Worker) -> None:
    assert "WorkerLostError" in stored(worker, worker.send("die"), "FAILURE")
