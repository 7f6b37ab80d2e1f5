"""``celery geventpool top`` without an answer: it says at once what it waits for, and soon ends with the reason."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from tests.support.waiting import DEADLINE

from ..conftest import StartWorker
from ..workers import PROJECT_FOLDER, Worker
from .test_commands import UNAVAILABLE, installed

__all__ = ["installed"]

pytestmark = pytest.mark.usefixtures("installed")

SCHEMES = pytest.mark.parametrize("scheme", ["amqp", "redis"])


class Broker:
    """A broker that accepts connections and sends nothing, or hangs up at once, as one that is starting does."""

    def __init__(self, *, hangs_up: bool) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._hangs_up = hangs_up
        #: How often a client has connected.
        self.calls = 0
        self.called = threading.Event()
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.calls += 1
            self.called.set()
            if self._hangs_up:
                connection.close()
            else:
                self._open.append(connection)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            connection.close()


@pytest.fixture
def silent() -> Iterator[Broker]:
    broker = Broker(hangs_up=False)
    yield broker
    broker.close()


@pytest.fixture
def dead() -> Iterator[Broker]:
    broker = Broker(hangs_up=True)
    yield broker
    broker.close()


def top(start_worker: StartWorker, broker: Broker, scheme: str) -> subprocess.Popen[str]:
    worker: Worker = start_worker(
        "solo", {}, start=False, settings={"broker_url": f"{scheme}://127.0.0.1:{broker.port}//"}
    )
    return subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "smoke_project.celery", "geventpool", "top", "--once"],
        cwd=PROJECT_FOLDER,
        env=worker.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@SCHEMES
def test_a_silent_broker(start_worker: StartWorker, silent: Broker, scheme: str) -> None:
    with top(start_worker, silent, scheme) as process:
        try:
            assert process.stderr is not None
            # It says so before any answer: this broker never gives one.
            assert "Asking the workers" in process.stderr.readline()
            assert silent.called.wait(DEADLINE)
            output, errors = process.communicate(timeout=DEADLINE)
        finally:
            process.kill()
    assert (process.returncode, output) == (UNAVAILABLE, "")
    assert "The broker can't be reached: it did not answer within" in errors


@SCHEMES
def test_a_dead_broker(start_worker: StartWorker, dead: Broker, scheme: str) -> None:
    with top(start_worker, dead, scheme) as process:
        try:
            output, errors = process.communicate(timeout=DEADLINE)
        finally:
            process.kill()
    assert (process.returncode, output) == (UNAVAILABLE, "")
    assert "The broker can't be reached: " in errors
    assert "Traceback" not in errors
    assert dead.calls <= 2
