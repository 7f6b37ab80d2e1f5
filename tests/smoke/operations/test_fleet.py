"""What the commands show of workers that share a role's limit."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from servers.postgres import PostgresServer
from servers.redis import RedisServer
from tests.support.drivers import driver
from tests.support.waiting import eventually

from ..conftest import GREEN, StartWorker
from ..workers import Worker
from .test_commands import UNAVAILABLE, celery, installed, pool_of

__all__ = ["installed"]

ROLE = "shown_by_commands"
ROLE_LIMIT = 8
MAX_CONNS = 6
TASKS = 120


@pytest.fixture
def role(server: PostgresServer) -> Iterator[str]:
    """A role with a limit, of which a session of somebody else takes one."""
    server.query(f"CREATE ROLE {ROLE} LOGIN CONNECTION LIMIT {ROLE_LIMIT}")
    with contextlib.closing(driver.connect(**{**server.dsn, "user": ROLE, "application_name": "psql"})):
        yield ROLE
    eventually(
        lambda: server.query(f"SELECT FROM pg_stat_activity WHERE usename = '{ROLE}'") == [], f"no session of {ROLE}"
    )
    server.query(f"DROP ROLE {ROLE}")


@pytest.fixture
def workers(role: str, redis: RedisServer, start_worker: StartWorker) -> Iterator[list[Worker]]:
    """A worker of gevent and one of eventlet, which share the role."""
    workers = [
        start_worker(
            pool,
            {"MAX_CONNS": MAX_CONNS, "CONN_WAIT_TIMEOUT": 60},
            concurrency=20,
            database={"USER": role, "PASSWORD": "not-to-be-printed"},
            settings={"broker_url": redis.url, "worker_prefetch_multiplier": 1},
        )
        for pool in GREEN
    ]
    for worker in workers:
        worker.await_answer()
    yield workers
    for worker in workers:
        worker.kill()


def fleet_of(worker: Worker) -> dict[str, Any] | None:
    """Return what a worker has seen of both pools; None if it hasn't yet."""
    fleet = pool_of(worker.control("pools"))["fleet"]
    return fleet if fleet is not None and fleet["pools"] == len(GREEN) else None


def test_the_fleet_at_a_glance(workers: list[Worker], installed: None) -> None:
    workers[0].send_many(TASKS, "sleep_in_query", 0.5)
    for worker in workers:
        fleet = eventually(lambda worker=worker: fleet_of(worker), "a look that shows both pools")
        assert (fleet["scope"], fleet["owner"], fleet["limit"]) == ("role", ROLE, ROLE_LIMIT)
        assert (fleet["strangers"], fleet["others"]) == (1, {"psql": 1})
        assert fleet["max_conns"] == 2 * MAX_CONNS
        answer = worker.control("pools")
        pool = pool_of(answer)
        assert pool["fleet_limit"] <= ROLE_LIMIT - 2, "one is somebody else's, and one is kept free"
        assert 0 < pool["fleet_share"] <= MAX_CONNS
        assert f"fleet: share {pool['fleet_share']}, demand " in answer["ok"]
        assert f"limit {ROLE_LIMIT} (CONNECTION LIMIT of the role {ROLE}), " in answer["ok"]
        assert ", 1 of others (psql 1); seen " in answer["ok"]
        text = json.dumps(answer)
        assert "not-to-be-printed" not in text
        assert len(text) < 4000
    top = eventually(
        lambda: (top := celery(workers[0], "geventpool", "top", "--once")).returncode != UNAVAILABLE and top, "answers"
    )
    assert top.returncode == 0, top.stderr
    heading, _, *rows = (line for line in top.stdout.splitlines() if line.strip())
    assert re.search(r"waiting +share +demand +wait", heading)
    # In 160 columns the last line is folded.
    line = " ".join(" ".join(rows).partition("fleet of default: ")[2].split())
    assert line.startswith(f"limit {ROLE_LIMIT} (CONNECTION LIMIT of the role {ROLE}), ")
    assert ", 1 of others (psql 1); seen " in line
