"""Four workers share a database role that may have fewer connections than they may open together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from servers.postgres import PostgresServer
from servers.redis import RedisServer
from tests.support.waiting import DEADLINE, eventually
from tests.support.watcher import Watcher

from ..conftest import StartWorker
from ..workers import Worker

WORKERS = 4
MAX_CONNS = 10
ROLE_LIMIT = 25
CONN_WAIT_TIMEOUT = 30
#: How many tasks a worker runs at a time.
CONCURRENCY = 50
#: The number of tasks by the seconds of their query. They compete for the role's connections, not for CPU.
TASKS: Mapping[float, int] = {0.4: 2400, 2.0: 80}


@pytest.fixture
def role(server: PostgresServer) -> Iterator[str]:
    """A role with a limit, and a table into which its tasks write their numbers."""
    name = "shared_by_workers"
    server.query(
        f"CREATE ROLE {name} LOGIN CONNECTION LIMIT {ROLE_LIMIT};"
        "CREATE TABLE runs (worker text, waited float, ended timestamptz DEFAULT clock_timestamp());"
        f"GRANT ALL ON runs TO {name}"
    )
    yield name
    server.query("DROP TABLE runs")
    eventually(
        lambda: server.query(f"SELECT FROM pg_stat_activity WHERE usename = '{name}'") == [], f"no session of {name}"
    )
    server.query(f"DROP ROLE {name}")


@dataclass(frozen=True)
class Share:
    """The numbers of one worker."""

    worker: str
    #: Counted while there were tasks for all workers.
    tasks: int
    longest_wait: float
    peak: int
    waits: int
    timeouts: int
    refused: int


def share_of(worker: Worker, total: int, since: str) -> Share:
    # After the last tasks were begun, some workers had nothing more to do.
    until = f"(SELECT ended FROM runs ORDER BY ended OFFSET {total - WORKERS * CONCURRENCY - 1} LIMIT 1)"
    ((tasks, longest_wait),) = worker.server.query(
        f"SELECT count(*) FILTER (WHERE ended BETWEEN '{since}' AND {until}), max(waited) FROM runs "
        f"WHERE worker = '{worker.name}'"
    )
    numbers = worker.numbers()
    return Share(
        worker.name,
        int(tasks),
        float(longest_wait or "inf"),
        worker.peak(),
        numbers["waits"],
        numbers["timeouts"],
        numbers["failed_connects"],
    )


def take_tasks(workers: list[Worker]) -> None:
    names = [worker.hostname for worker in workers]
    replies = workers[0].client.control.add_consumer(
        "celery", destination=names, reply=True, timeout=DEADLINE, limit=len(names)
    )
    assert len(replies) == len(names), replies


def time_of(server: PostgresServer) -> str:
    return str(server.query("SELECT clock_timestamp()")[0][0])


def count_runs(server: PostgresServer) -> int:
    return int(server.query("SELECT count(*) FROM runs")[0][0])


@pytest.mark.parametrize(("pool", "late"), [("eventlet", 0), ("gevent", 1)], ids=["eventlet", "gevent, one comes late"])
def test_none_of_four_workers_starves_at_a_full_server(
    pool: str, late: int, server: PostgresServer, redis: RedisServer, role: str, start_worker: StartWorker
) -> None:
    workers: list[Worker] = [
        start_worker(
            pool,
            {"MAX_CONNS": MAX_CONNS, "CONN_WAIT_TIMEOUT": CONN_WAIT_TIMEOUT},
            concurrency=CONCURRENCY,
            database={"USER": role},
            settings={"broker_url": redis.url, "worker_prefetch_multiplier": 1},
            # The workers are started, but take no tasks before all tasks have been sent.
            arguments=["--queues", "none"],
        )
        for _ in range(WORKERS)
    ]
    for worker in workers:
        worker.await_answer()
    total = sum(TASKS.values())
    with Watcher(server, role, interval=0.05) as watcher:
        for number in range(max(TASKS.values())):
            for seconds, count in TASKS.items():
                if number < count:
                    workers[0].send("write_down", seconds)
        take_tasks(workers[: WORKERS - late])
        if late:
            # One connection is kept free.
            eventually(lambda: sum(worker.connections() for worker in workers) >= ROLE_LIMIT - 1, "a full server")
            take_tasks(workers[WORKERS - late :])
        # This may take as long as CONN_WAIT_TIMEOUT.
        eventually(lambda: all(worker.connections() for worker in workers), "a connection of each")
        since = time_of(server)
        eventually(lambda: count_runs(server) >= total, "all tasks done", 180)
        seen = watcher.seen()
    shares = [share_of(worker, total, since) for worker in workers]
    fair = sum(share.tasks for share in shares) / WORKERS
    # Shown with -s or -rP.
    print(*shares, sep="\n")
    assert MAX_CONNS < seen.most <= ROLE_LIMIT
    for share in shares:
        assert share.tasks >= fair / 2, shares
        assert share.longest_wait < CONN_WAIT_TIMEOUT
        assert share.peak <= MAX_CONNS
        assert share.timeouts == 0
    assert count_runs(server) == total
    assert all(share.waits for share in shares), "there was no competition"
    for worker in workers:
        eventually(worker.is_quiet, f"a quiet pool of {worker.name}")
