"""An incident: four workers share a small limit, and one task sleeps in a transaction. Everything names it soon."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from servers.postgres import PostgresServer
from servers.redis import RedisServer
from tests.support.waiting import eventually

from ..conftest import StartWorker
from ..workers import Worker
from .test_commands import celery, installed, pool_of
from .test_metrics import scrape

__all__ = ["installed"]

ROLE = "in_an_incident"
ROLE_LIMIT = 8
WORKERS = 4
BAD = "smoke_project.tasks.sleep_in_transaction"
GOOD = "smoke_project.tasks.double"
#: How soon it must be named, in seconds.
SOON = 10.0


@pytest.fixture
def workers(server: PostgresServer, redis: RedisServer, start_worker: StartWorker) -> Iterator[list[Worker]]:
    pytest.importorskip("prometheus_client")
    server.query(f"CREATE ROLE {ROLE} LOGIN CONNECTION LIMIT {ROLE_LIMIT}")
    workers = [
        start_worker(
            "gevent",
            {"MAX_CONNS": 4, "CONN_WAIT_TIMEOUT": 60},
            concurrency=20,
            database={"USER": ROLE},
            settings={"broker_url": redis.url, "worker_prefetch_multiplier": 1},
            arguments=["--pool-metrics-port", "0"],
        )
        for _ in range(WORKERS)
    ]
    for worker in workers:
        worker.await_answer()
    yield workers
    for worker in workers:
        worker.kill()
    eventually(
        lambda: server.query(f"SELECT FROM pg_stat_activity WHERE usename = '{ROLE}'") == [], f"no session of {ROLE}"
    )
    server.query(f"DROP ROLE {ROLE}")


def by_task(worker: Worker) -> dict[str, dict[str, Any]]:
    answer = worker.control("pools", options=["tasks"])
    return {use["task"]: use for use in pool_of(answer)["use_by_task"]} if answer["pools"] else {}


def warned(worker: Worker) -> str | None:
    found = re.search(rf'WARNING.*Pool "default": others wait while {BAD} holds connections, .*', worker.log)
    return None if found is None else found[0]


def asked(worker: Worker, name: str) -> float:
    """Return the value of a task's metric, 0 if there is none."""
    found = re.search(rf'^{name}\{{.*task="{BAD}".*\}} (.*)$', scrape(worker), re.MULTILINE)
    return 0.0 if found is None else float(found[1])


def test_a_task_that_sleeps_in_a_transaction_is_named_everywhere(workers: list[Worker], installed: None) -> None:
    workers[0].send_many(4 * WORKERS, "sleep_in_transaction", 120)
    workers[0].send_many(4 * WORKERS, "double", 1)
    began = time.monotonic()
    seconds: dict[str, float] = {}

    def soon(what: str, condition: Callable[[], Any]) -> Any:
        found = eventually(condition, f"{what} that names the task")
        seconds[what] = round(time.monotonic() - began, 1)
        return found

    worker: Worker = soon(
        "inspect", lambda: next((each for each in workers if by_task(each).get(BAD, {}).get("in_use")), None)
    )
    soon("metrics", lambda: asked(worker, "geventpool_task_in_use") and asked(worker, "geventpool_task_looks_total"))
    top = soon("top", lambda: (top := celery(worker, "geventpool", "top", "--tasks", "--once")).stdout and top)
    log = soon("log", lambda: next(filter(None, map(warned, workers)), None))
    assert max(seconds.values()) < SOON, seconds
    assert re.search(r"shorter transactions would free \d+% of the connections' time", log)
    assert "mode transaction would" not in log, "that keeps the connection in a transaction, too"
    first = top.stdout.splitlines()[3]
    # Some of the others may have had a connection before, for milliseconds; and a look may find the bad one's BEGIN.
    assert re.match(rf" *{re.escape(BAD)} +default +(9\d|100)% +\d+ ", first), "of all tasks, it is the first"
    use = by_task(worker)[BAD]
    assert use["idle_share"] >= 0.5
    assert use["seen"]["idle in transaction"] > 0
    assert f"{BAD}: " in worker.control("pools", options=["tasks"])["ok"]
    others = sum(by_task(each).get(GOOD, {}).get("waiting", 0) for each in workers)
    assert others > 0, "the others wait"
