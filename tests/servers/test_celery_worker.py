"""Real Celery workers, and the filesystem broker between them and their clients."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import celery
import pytest

from servers.broker import filesystem_broker
from servers.celery_worker import CeleryWorker, WorkerFailed

APP = """
import json, os
from celery import Celery

app = Celery("adder")
app.conf.update(json.loads(os.environ["CELERY_SETTINGS"]))


@app.task(name="write")
def write(path, text):
    with open(path, "w") as file:
        file.write(text)
"""


@pytest.fixture
def client(tmp_path: Path) -> celery.Celery:
    client = celery.Celery("client", set_as_current=False)
    client.conf.update(filesystem_broker(tmp_path / "broker"))
    return client


@pytest.fixture
def worker(tmp_path: Path) -> CeleryWorker:
    (tmp_path / "adder.py").write_text(APP)
    settings = json.dumps(filesystem_broker(tmp_path / "broker"))
    return CeleryWorker(
        "adder",
        pool="solo",
        concurrency=1,
        cwd=tmp_path,
        env={"CELERY_SETTINGS": settings},
        arguments=["--without-mingle"],
    )


def test_a_worker_runs_tasks_and_answers(client: celery.Celery, worker: CeleryWorker, tmp_path: Path) -> None:
    with worker:
        assert worker.is_running
        client.send_task("write", args=[str(tmp_path / "out"), "hello"])
        worker.wait_for_log(r"Task write\[.*succeeded")
        assert (tmp_path / "out").read_text() == "hello"
        answer = client.control.inspect([worker.hostname], timeout=10, limit=1).ping()
        assert answer == {worker.hostname: {"ok": "pong"}}
    assert worker.returncode == 0


def test_a_killed_worker_is_started_again(worker: CeleryWorker) -> None:
    with worker:
        worker.send_signal(signal.SIGKILL)
        assert worker.wait()
        assert worker.returncode == -signal.SIGKILL
        worker.start()
        assert worker.is_running
        worker.kill()
    assert not worker.is_running


def test_a_worker_that_cannot_start_shows_its_log(tmp_path: Path) -> None:
    worker = CeleryWorker("no_such_app", pool="solo", concurrency=1, cwd=tmp_path)
    with pytest.raises(WorkerFailed, match="no_such_app was not found"):
        worker.start()
    assert not worker.is_running


def test_waiting_for_the_log_has_an_end(worker: CeleryWorker) -> None:
    with worker:
        with pytest.raises(WorkerFailed, match=r"not found in 0.1 s"):
            worker.wait_for_log("never written", 0.1)
        worker.kill()
