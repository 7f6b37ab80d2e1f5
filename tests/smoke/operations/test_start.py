"""What a worker logs when it starts, and when it refuses to."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from servers.celery_worker import WorkerFailed
from servers.postgres import PostgresServer
from servers.postgres_binaries import PostgresNotFound
from tests.support.drivers import DRIVER
from tests.support.waiting import eventually

from ..conftest import GREEN, POOLS, StartWorker
from ..workers import ENGINE, Worker

MODULE = "smoke_project.late"


def start_lines(worker: Worker) -> list[str]:
    return re.findall(r'Pool "\w+": engine .*', worker.log)


@pytest.mark.parametrize("pool", POOLS)
def test_one_line_for_each_alias_says_what_the_tasks_share(pool: str, shared_workers: Callable[[str], Worker]) -> None:
    worker = shared_workers(pool)
    framework = pool if pool in GREEN else "threads"
    assert start_lines(worker) == [
        f'Pool "default": engine {ENGINE}, limit {worker.limit}, mode session, framework {framework}, driver {DRIVER}'
    ]
    assert "has patched the sockets" not in worker.log
    assert "CELERY_DB_REUSE_MAX" not in worker.log
    assert "CONN_MAX_AGE" not in worker.log


@pytest.mark.parametrize("pool", POOLS)
def test_garbage_collections_are_spared_what_was_there_before_the_first_task(
    pool: str, shared_workers: Callable[[str], Worker]
) -> None:
    # Django's and Celery's objects alone are more than that.
    assert shared_workers(pool).run("frozen_objects") > 50_000


@pytest.fixture(scope="module", params=GREEN)
def unwise_worker(request: pytest.FixtureRequest, start_module_worker: StartWorker) -> Worker:
    """A worker with two databases and settings that defeat the pool, in which the worker side is installed twice."""
    return start_module_worker(
        request.param,
        {"MAX_CONNS": 3},
        aliases={"reports": {"MAX_CONNS": 2}},
        database={"CONN_MAX_AGE": 60},
        django={"CELERY_DB_REUSE_MAX": 10},
        install=True,
    )


def test_each_alias_has_its_line_and_installing_twice_does_not_double_it(unwise_worker: Worker) -> None:
    lines = start_lines(unwise_worker)
    assert [re.findall(r'"(\w+)".*limit (\d+)', line) for line in lines] == [[("default", "3")], [("reports", "2")]]


def test_conn_max_age_is_warned_about(unwise_worker: Worker) -> None:
    warnings = re.findall(r"WARNING.*(CONN_MAX_AGE.* is not 0|\[\"CONN_MAX_AGE\"\] is not 0).*", unwise_worker.log)
    assert len(warnings) == 2


def test_celery_db_reuse_max_is_warned_about(unwise_worker: Worker) -> None:
    assert len(re.findall(r"WARNING.*CELERY_DB_REUSE_MAX is set", unwise_worker.log)) == 1


def test_connections_come_back_in_spite_of_unwise_settings(unwise_worker: Worker) -> None:
    results = unwise_worker.send_many(50, "double", 2)
    assert {result.get(timeout=30, interval=0.02) for result in results} == {4}
    eventually(unwise_worker.is_quiet, "a quiet pool")
    assert unwise_worker.peak() <= unwise_worker.limit


@pytest.mark.parametrize("pool", GREEN)
def test_install_alone_does_without_installed_apps(pool: str, start_worker: StartWorker) -> None:
    worker = start_worker(pool, {"MAX_CONNS": 3}, apps=[], install=True)
    assert len(start_lines(worker)) == 1
    worker.assert_whole()
    assert worker.warnings_of_leaks() == []


@pytest.mark.parametrize("pool", GREEN)
def test_a_worker_started_too_late_for_patching_says_so(pool: str, start_worker: StartWorker) -> None:
    worker = start_worker(pool, {"MAX_CONNS": 3}, start=False)
    worker.command_line(sys.executable, "-m", MODULE, pool)
    worker.start()
    message = worker.wait_for_log(r"ERROR.*The worker's pool is (\w+), but nothing has patched the sockets.*")
    assert message[1] == pool
    assert f"celery worker -P {pool}" in message[0]
    assert "framework threads" in start_lines(worker)[0]


@pytest.mark.parametrize("pool", GREEN)
def test_a_worker_whose_locks_are_not_patched_does_not_start(pool: str, start_worker: StartWorker) -> None:
    worker = start_worker(pool, {"MAX_CONNS": 3}, start=False)
    worker.command_line(sys.executable, "-m", "smoke_project.half_patched", pool)
    with pytest.raises(WorkerFailed, match=rf"{pool} has patched the sockets .* but not its locks and threads"):
        worker.start()
    assert worker.returncode not in (0, None)


@pytest.mark.parametrize(
    ("pool", "install"), [*((pool, False) for pool in POOLS), ("gevent", True)], ids=[*POOLS, "by install alone"]
)
def test_a_bad_option_ends_the_worker(pool: str, install: bool, start_worker: StartWorker) -> None:
    apps = [] if install else ["celery_geventpool"]
    worker = start_worker(pool, {"MAX_CONN": 3}, start=False, install=install, apps=apps)
    with pytest.raises(
        WorkerFailed, match=r'DATABASES\["default"\].*Unknown pool option MAX_CONN: did you mean MAX_CONNS\?'
    ):
        worker.start()
    assert worker.returncode not in (0, None)
    assert worker.connections() == 0


@pytest.fixture(scope="module")
def strict_server() -> Iterator[PostgresServer]:
    """A server that checks passwords."""
    try:
        server = PostgresServer(password="the-right-password", max_connections=20)
    except PostgresNotFound as error:
        pytest.skip(str(error))
    with server:
        yield server


@pytest.mark.parametrize("pool", GREEN)
def test_a_wrong_password_is_never_printed(
    pool: str, start_worker: StartWorker, strict_server: PostgresServer, tmp_path: Path
) -> None:
    worker = start_worker(
        pool,
        {"MAX_CONNS": 3},
        server=strict_server,
        database={"PASSWORD": "not-to-be-printed"},
        loglevel="DEBUG",
    )
    task = worker.send("double", 1)
    with pytest.raises(Exception, match="password authentication failed"):
        task.get(timeout=30, interval=0.02)
    assert worker.wait_for_log("raised unexpected.*password authentication failed")
    assert "not-to-be-printed" not in worker.log
    assert worker.numbers()["size"] == 0
