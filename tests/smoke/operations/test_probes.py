"""The probes of a worker: is it alive, is it ready?"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from servers.postgres import PostgresServer
from tests.support.waiting import eventually

from ..conftest import GREEN, StartWorker
from ..environment import ENGINE, PROJECT_FOLDER
from ..watched_server import watched_server
from ..workers import Worker, result_of
from .test_metrics import address, installed

__all__ = ["installed"]

#: How long a probe waits for its answer (seconds): far longer than an answer takes that comes at all.
PATIENCE = 3.0

READY = (200, "ready\n")


def probe(worker: Worker, path: str, timeout: float = 20.0) -> tuple[int, str]:
    """Return status and text of a probe's answer.

    :raises OSError: if there is none in time.
    """
    try:
        with urllib.request.urlopen(f"http://{address(worker)}{path}", timeout=timeout) as page:
            return page.status, page.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def is_alive(worker: Worker) -> bool:
    try:
        status, text = probe(worker, "/livez", PATIENCE)
    except OSError:
        return False
    assert text.startswith("alive: ")
    return status == 200


def await_readiness(worker: Worker, status: int, text: str) -> None:
    eventually(lambda: probe(worker, "/readyz") == (status, text), f"{status} {text}")


def check(worker: Worker, *arguments: str) -> tuple[int, str]:
    """Return the exit code and the output of ``celery geventpool check``."""
    command = [sys.executable, "-m", "celery", "-A", "smoke_project.celery", "geventpool", "check", *arguments]
    result = subprocess.run(
        command, cwd=PROJECT_FOLDER, env=worker.environment, capture_output=True, text=True, check=False, timeout=60
    )
    return result.returncode, result.stdout + result.stderr


@pytest.fixture
def start_probed(start_worker: StartWorker) -> Callable[..., Worker]:
    def start(pool: str, **arguments: Any) -> Worker:
        options = {"MAX_CONNS": 2, "CONN_WAIT_TIMEOUT": 60, **arguments.pop("options", {})}
        return start_worker(pool, options, arguments=["--pool-metrics-port", "0"], **arguments)

    return start


@contextmanager
def running(worker: Worker, task: str, folder: Path) -> Iterator[Path]:
    """Run a task that begins, and ends when a file is made; yield that file's path."""
    begun, ends = folder / f"{task}-begun", folder / f"{task}-ends"
    result = worker.send(task, str(begun), str(ends))
    eventually(begun.exists, f"{task} runs")
    try:
        yield ends
    finally:
        ends.touch()
    result_of(result)


@pytest.mark.parametrize("pool", GREEN)
@pytest.mark.parametrize("task", ["spin_until", "block_until"])
def test_a_worker_whose_hub_is_blocked_is_not_alive_until_it_turns_again(
    start_probed: Callable[..., Worker], tmp_path: Path, pool: str, task: str
) -> None:
    worker = start_probed(pool)
    await_readiness(worker, *READY)
    with running(worker, task, tmp_path) as ends:
        assert not is_alive(worker)
        code, output = check(worker, "--live", "--destination", worker.hostname, "--timeout", str(PATIENCE))
        assert (code, output) == (1, f"{worker.hostname}: no answer within 3 s\n")
        ends.touch()
        eventually(lambda: is_alive(worker), "a live worker")
    await_readiness(worker, *READY)


@pytest.mark.parametrize("pool", ["gevent", "threads", "prefork"])
def test_a_full_pool_is_ready(start_probed: Callable[..., Worker], pool: str) -> None:
    # Each of prefork's two processes has a pool, and runs one task.
    worker = start_probed(pool, options={"MAX_CONNS": 1} if pool == "prefork" else {})
    worker.await_answer()
    gate = worker.new_gate()
    tasks = worker.send_many(2 if pool == "prefork" else 4, "query_until", gate)
    worker.await_active(2)
    if pool != "prefork":
        eventually(lambda: worker.numbers()["waiting"] == 2, "two that wait")
    assert probe(worker, "/readyz") == READY
    assert is_alive(worker)
    assert check(worker, "-d", worker.hostname) == (0, f"{worker.hostname}: ready\n")
    worker.open_gate(gate)
    for task in tasks:
        result_of(task)


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server for one test, which ends it."""
    with watched_server() as server:
        yield server


@pytest.mark.parametrize("pool", ["gevent", "eventlet", "prefork"])
def test_a_worker_whose_server_is_gone_is_alive_but_not_ready(
    start_probed: Callable[..., Worker], own_server: PostgresServer, pool: str
) -> None:
    worker = start_probed(pool, server=own_server, database={"PASSWORD": "hush"})
    await_readiness(worker, *READY)
    own_server.stop()
    gone = "default: the server does not answer"
    await_readiness(worker, 503, f"not ready: {gone}\n")
    assert is_alive(worker)
    assert check(worker) == (1, f"{worker.hostname}: not ready: {gone}\n")
    assert check(worker, "--live")[0] == 0
    own_server.start()
    await_readiness(worker, *READY)
    assert worker.run("double", 2) == 4


@pytest.mark.parametrize("pool", GREEN)
def test_a_worker_whose_server_stands_still_is_alive_but_not_ready(
    start_probed: Callable[..., Worker], own_server: PostgresServer, pool: str
) -> None:
    worker = start_probed(pool, server=own_server)
    assert worker.run("double", 2) == 4
    await_readiness(worker, *READY)
    os.kill(own_server.pid, signal.SIGSTOP)
    try:
        await_readiness(worker, 503, "not ready: default: the server does not answer\n")
        assert is_alive(worker)
    finally:
        os.kill(own_server.pid, signal.SIGCONT)
    await_readiness(worker, *READY)


@pytest.mark.parametrize("pool", ["gevent", "threads", "prefork"])
def test_a_worker_that_finishes_its_tasks_is_alive_but_not_ready(
    start_probed: Callable[..., Worker], tmp_path: Path, pool: str
) -> None:
    worker = start_probed(pool)
    await_readiness(worker, *READY)
    with running(worker, "wait_until", tmp_path):
        worker.send_signal(signal.SIGTERM)
        await_readiness(worker, 503, "not ready: the worker is shutting down\n")
        assert is_alive(worker)
    assert worker.wait(30)
    assert worker.returncode == 0


def test_each_database_of_the_pools_counts_and_no_other(start_probed: Callable[..., Worker]) -> None:
    theirs = {"ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1", "PORT": 1, "NAME": "none"}
    worker = start_probed("gevent", aliases={"reports": {"MAX_CONNS": 1}}, others={"theirs": theirs})
    await_readiness(worker, *READY)
    worker.stop()
    ours = {**theirs, "ENGINE": ENGINE, "PASSWORD": "hush", "USER": "somebody"}
    worker = start_probed("gevent", others={"audit": ours, "theirs": theirs})
    await_readiness(worker, 503, "not ready: audit: the server does not answer\n")
    assert "hush" not in worker.log


def test_nobody_answers_a_check_where_no_worker_is(start_probed: Callable[..., Worker]) -> None:
    worker = start_probed("gevent", start=False)
    assert check(worker, "--timeout", "0.5") == (1, "No worker answered within 0.5 s.\n")
