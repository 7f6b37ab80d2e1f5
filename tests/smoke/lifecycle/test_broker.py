"""A broker that goes away and comes back, and a killed worker whose tasks are delivered again."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from servers.redis import RedisServer
from tests.support.waiting import eventually

from ..conftest import GREEN, StartWorker
from ..workers import result_of

OPTIONS = {"MAX_CONNS": 5, "CONN_WAIT_TIMEOUT": 60}

#: Options of kombu with which a killed worker's tasks are delivered again within seconds.
REDELIVERY = {
    "visibility_timeout": 2,
    "unacked_restore_throttle": 1,
    "unacked_mutex_expire": 1,
    # Green workers look for such tasks only if this is longer than their consumer's wait for a new task (2 s).
    "polling_interval": 3,
}


@pytest.mark.parametrize("pool", [*GREEN, "threads"])
def test_the_broker_goes_away_and_comes_back(
    pool: str, redis: RedisServer, start_worker: StartWorker, tmp_path: Path
) -> None:
    worker = start_worker(pool, OPTIONS, settings={"broker_url": redis.url})
    tasks = worker.send_many(worker.limit + 5, "hold_until", str(tmp_path / "go"))
    eventually(
        lambda: (numbers := worker.numbers())["in_use"] == worker.limit and numbers["waiting"] == 5,
        "all connections in use",
    )
    written = len(worker.log)
    redis.kill()
    worker.wait_for_log("Connection to broker lost|Cannot connect to", since=written)
    # Running tasks go on without the broker.
    (tmp_path / "go").touch()
    for task in tasks:
        result_of(task)
    written = len(worker.log)
    redis.start()
    worker.wait_for_log("Connected to redis", since=written)
    worker.await_answer()
    worker.assert_whole()


@pytest.mark.parametrize("pool", GREEN)
def test_the_late_acknowledged_tasks_of_a_killed_worker_run_elsewhere(
    pool: str, redis: RedisServer, start_worker: StartWorker, tmp_path: Path
) -> None:
    settings = {
        "broker_url": redis.url,
        "broker_transport_options": REDELIVERY,
        "result_backend": f"file://{tmp_path}",
    }
    evicted = start_worker(pool, OPTIONS, settings=settings)
    tasks = evicted.send_many(evicted.limit, "run_again_elsewhere", str(tmp_path / "go"))
    evicted.await_active(evicted.limit)
    os.kill(evicted.pid, signal.SIGKILL)
    assert evicted.wait()
    (tmp_path / "go").touch()
    successor = start_worker(pool, OPTIONS, settings=settings)
    assert {tuple(result_of(task)) for task in tasks} == {(successor.pid, True)}
    eventually(lambda: evicted.connections() == 0, "no connection of the worker that is gone")
    successor.assert_whole()
