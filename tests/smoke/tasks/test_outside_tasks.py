"""Code that Celery runs in a worker outside tasks may use the database, and keeps no connection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kombu
import pytest

from servers.redis import RedisServer
from tests.support.waiting import eventually

from ..conftest import GREEN, POOLS, StartWorker
from ..workers import Worker, result_of

#: With one connection, any code that keeps it stops everything.
OPTIONS = {"MAX_CONNS": 1, "CONN_WAIT_TIMEOUT": 10}
INCLUDE = {"include": ["smoke_project.outside"]}

#: Places that must be among the tested ones.
EVERYWHERE = {
    "worker_init",
    "worker_ready",
    "task_received",
    "task_rejected",
    "task_unknown",
    "task_revoked",
    "task_failure",
    "worker step",
    "worker step made",
    "worker step created",
    "consumer step",
    "timer",
    "message",
    "on_accepted",
    "on_failure",
    "late command",
    "call_soon",
}
MORE = {
    "gevent": {"on_timeout", "task's on_failure", "late task_postrun"},
    "eventlet": {"eventlet_pool_started", "eventlet_pool_apply", "late task_postrun"},
    "threads": {"late task_postrun"},
    "prefork": {"on_timeout"},
    "solo": {"worker_process_init", "heartbeat_sent", "late task_postrun"},
}


def send(worker: Worker, task: str, **options: Any) -> Any:
    return worker.client.send_task(f"smoke_project.outside.{task}", **options)


def send_message(worker: Worker, body: object, **options: Any) -> None:
    with worker.client.connection_for_write() as connection:
        producer = connection.Producer(serializer="json")
        producer.publish(body, **options)


def use_everything(worker: Worker) -> None:
    """Make the worker run each place, except those that come by themselves."""
    queue = kombu.Queue("smoke_messages", routing_key="smoke_messages")
    send_message(worker, {"hello": 1}, exchange=queue.exchange, routing_key=queue.routing_key, declare=[queue])
    # This message is no task, and is rejected.
    send_message(worker, {"hello": 1}, exchange="celery", routing_key="celery")
    worker.send("no_such_task")
    worker.send("double", 1, expires=-1)
    with pytest.raises(ValueError, match="on purpose"):
        result_of(send(worker, "fail_with_request"))
    assert worker.control("late_command") == "done"
    if "on_timeout" in MORE[worker.pool]:
        with pytest.raises(Exception, match="TimeLimitExceeded"):
            result_of(send(worker, "sleep_with_request", time_limit=1))


def assert_nothing_is_kept(worker: Worker, places: set[str]) -> None:
    def missing() -> set[str]:
        return places - worker.control("places_used").keys()

    eventually(lambda: not missing(), f"everything in use in {worker.name}")
    eventually(worker.is_quiet, "a quiet pool")
    for task in worker.send_many(20, "double", 21):
        assert result_of(task) == 42
    eventually(worker.is_quiet, "a quiet pool")
    assert worker.numbers()["reclaimed"] == 0
    assert worker.numbers()["timeouts"] == 0
    assert worker.warnings_of_leaks() == []
    assert "PoolTimeout" not in worker.log


@pytest.mark.parametrize("pool", POOLS)
def test_nothing_that_runs_outside_of_tasks_keeps_a_connection(pool: str, start_worker: StartWorker) -> None:
    worker = start_worker(pool, OPTIONS, settings=INCLUDE)
    use_everything(worker)
    assert_nothing_is_kept(worker, (EVERYWHERE | MORE[pool]) - {"heartbeat_sent"})


@pytest.mark.parametrize("pool", ["prefork", "solo", "threads"])
def test_nor_does_anything_in_an_event_loop(pool: str, redis: RedisServer, start_worker: StartWorker) -> None:
    worker = start_worker(pool, OPTIONS, settings={**INCLUDE, "broker_url": redis.url})
    use_everything(worker)
    assert_nothing_is_kept(worker, (EVERYWHERE | MORE[pool]) - {"heartbeat_sent"})


def test_nor_does_a_workers_beat(start_worker: StartWorker, tmp_path: Path) -> None:
    worker = start_worker(
        "threads",
        {**OPTIONS, "LEAK_WARNING_AFTER": 1},
        settings={
            **INCLUDE,
            "beat_schedule": {"often": {"task": "smoke_project.tasks.double", "schedule": 0.2, "args": [1]}},
        },
        arguments=["-B", "-s", str(tmp_path / "schedule")],
    )
    # These take longer than the second after which holders are named.
    eventually(lambda: worker.log.count("Sending due task often") >= 15, "fifteen scheduled tasks")
    assert "LEAK_WARNING_AFTER" not in worker.log


@pytest.mark.parametrize("pool", GREEN)
def test_a_tasks_end_is_not_kept_from_giving_back_by_an_event_loop(
    pool: str, start_worker: StartWorker, tmp_path: Path
) -> None:
    worker = start_worker(pool, {"MAX_CONNS": 2, "CONN_WAIT_TIMEOUT": 10})
    holder = worker.send("hold_until", str(tmp_path / "end"))
    eventually(lambda: worker.numbers()["in_use"] == 1, "a connection in use")
    loop = worker.send("run_event_loop_until", str(tmp_path / "loop runs"), str(tmp_path / "stop"))
    eventually((tmp_path / "loop runs").exists, "an event loop")
    (tmp_path / "end").touch()
    result_of(holder)
    eventually(worker.is_quiet, "a quiet pool")
    (tmp_path / "stop").touch()
    result_of(loop)
    assert worker.numbers()["reclaimed"] == 0
    assert worker.warnings_of_leaks() == []
    assert "SynchronousOnlyOperation" not in worker.log
