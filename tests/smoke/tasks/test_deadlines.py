"""Time limits of tasks, as far as the database obeys them: how long a task waits, and when its queries end."""

from __future__ import annotations

import time

import pytest

from tests.support.waiting import eventually

from ..conftest import GREEN, POOLS, StartWorker
from ..workers import Worker, result_of

#: The pools in which limits mean something.
LIMITED = (*GREEN, "prefork")
#: Within this time, the server ends the query of a process that was killed (seconds).
STOPPED_WITHIN = 5.0


@pytest.fixture(scope="module")
def workers() -> dict[str, Worker]:
    """The workers that were started, by pool."""
    return {}


@pytest.fixture
def worker(request: pytest.FixtureRequest, workers: dict[str, Worker], start_module_worker: StartWorker) -> Worker:
    """A worker whose pool has one connection for each process, and ends statements of tasks."""
    pool: str = request.param
    if pool not in workers:
        options = {"MAX_CONNS": 1, "CONN_WAIT_TIMEOUT": 3, "STATEMENT_TIMEOUT_FROM_TASK": True}
        workers[pool] = start_module_worker(pool, options, settings={"task_time_limit": 40})
    return workers[pool]


def assert_no_query_left(worker: Worker) -> None:
    eventually(lambda: worker.active("pg_sleep") == 0, "no query left", timeout=STOPPED_WITHIN)


@pytest.mark.parametrize("worker", LIMITED, indirect=True)
@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"time_limit": 2}, r"within 1\.\d+ s \(all that the task's hard time limit of 2 s left\)"),
        (
            {"time_limit": 30, "soft_time_limit": 2},
            r"within 1\.\d+ s \(all that the task's soft time limit of 2 s left",
        ),
        ({"time_limit": 30}, r"within 3 s \(CONN_WAIT_TIMEOUT\)"),
    ],
    ids=["hard", "soft", "longer"],
)
def test_a_task_waits_no_longer_than_its_limits_leave(worker: Worker, limits: dict[str, float], said: str) -> None:
    with pytest.raises(Exception, match=said) as caught:
        worker.run("ask_for_two", **limits)
    assert type(caught.value).__name__ == "PoolTimeout"


@pytest.mark.parametrize("worker", ["threads", "solo"], indirect=True)
def test_where_celery_has_no_limits_tasks_wait_as_configured(worker: Worker) -> None:
    with pytest.raises(Exception, match=r"within 3 s \(CONN_WAIT_TIMEOUT\)"):
        worker.run("ask_for_two", time_limit=2)


@pytest.mark.parametrize("worker", POOLS, indirect=True)
def test_the_server_ends_a_query_before_the_hard_limit_strikes(worker: Worker) -> None:
    process, _ = worker.run("process_numbers")
    sent = time.monotonic()
    with pytest.raises(Exception, match="canceling statement due to statement timeout") as caught:
        worker.run("sleep_in_query", 600, time_limit=1)
    assert time.monotonic() < sent + 20
    assert type(caught.value).__name__ == "OperationalError"
    assert worker.active("pg_sleep") == 0
    assert "Hard time limit (1" not in worker.log
    # The next task has a limit of its own; and no process was killed, in prefork either.
    assert worker.run("sleep_in_query", 1.5)
    assert process in {pid for pid, _ in (worker.run("process_numbers") for _ in range(6))}


@pytest.mark.parametrize("pool", ["gevent", "prefork"])
def test_a_query_that_is_not_limited_ends_with_its_task(pool: str, start_worker: StartWorker) -> None:
    # As by default: the hard limit strikes. Eventlet's pool has none.
    worker = start_worker(pool, {"MAX_CONNS": 4}, arguments=["--time-limit=3"])
    task = worker.send("sleep_in_query", 600)
    worker.await_active(1)
    with pytest.raises(Exception, match="TimeLimitExceeded"):
        result_of(task)
    assert_no_query_left(worker)
    assert worker.run("double", 21) == 42


@pytest.mark.parametrize("pool", LIMITED)
def test_the_workers_own_limit_counts_for_tasks_without_any(pool: str, start_worker: StartWorker) -> None:
    options = {"MAX_CONNS": 1, "CONN_WAIT_TIMEOUT": 30, "STATEMENT_TIMEOUT_FROM_TASK": True}
    worker = start_worker(pool, options, arguments=["--time-limit=3"])
    with pytest.raises(Exception, match="all that the task's hard time limit of 3 s left"):
        worker.run("ask_for_two")
    with pytest.raises(Exception, match="statement timeout"):
        worker.run("sleep_in_query", 600)
    assert worker.active("pg_sleep") == 0
