"""A contender's process, seen from the judge: its orders go over a socket, see ``subject.faults_control``."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from servers.broker import filesystem_broker
from servers.celery_worker import CeleryWorker
from servers.process import OwnedProcess, wait_until

from ..ground import last_line
from .findings import Task

_START_SECONDS = 40.0
#: A process that doesn't answer an order within this time hangs (seconds).
ANSWER_SECONDS = 20.0
_POLL = 0.05
_ARGUMENTS = ("--without-gossip", "--without-mingle", "--without-heartbeat")


class NoAnswer(RuntimeError):
    """The process doesn't answer, has ended, or did not start."""


class Subject:
    """The process; a context manager, at whose end it is killed.

    :param python: the command of the contender's Python.
    :param concurrency: of a Celery worker; None for a process without Celery.
    """

    def __init__(
        self, python: Sequence[str], folder: Path, variables: Mapping[str, str], concurrency: int | None
    ) -> None:
        self._python = python
        self._folder = folder
        self._variables = variables
        self._concurrency = concurrency
        self._log = folder / "log"
        self._stack = ExitStack()

    def __enter__(self) -> Subject:
        try:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                self._launch({**self._variables, "FAULTS_PORT": str(listener.getsockname()[1])})
                judge = self._stack.enter_context(self._accept(listener))
            self._lines = self._stack.enter_context(judge.makefile("rw"))
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def ask(self, order: str, **arguments: Any) -> Any:
        """Give an order, and return the answer.

        :raises NoAnswer: when there is none.
        """
        try:
            self._lines.write(json.dumps([order, arguments]) + "\n")
            self._lines.flush()
            answer = self._lines.readline()
        except OSError as error:
            raise NoAnswer(f"the process answers no more (over {ANSWER_SECONDS:.0f} s)") from error
        if not answer:
            raise NoAnswer(f"the process has ended: {last_line(self._log)}")
        return json.loads(answer)

    def start(self, name: str, values: Iterable[dict[str, Any]], time_limit: float | None = None) -> list[int]:
        """Start tasks, one for each of the arguments; return their numbers."""
        numbers: list[int] = self.ask("start", name=name, values=list(values), time_limit=time_limit)
        return numbers

    def tasks(self, numbers: Sequence[int]) -> list[Task]:
        """Return what has become of tasks."""
        return [Task(**report) for report in self.ask("tasks", numbers=list(numbers))]

    def wait(self, numbers: Sequence[int], seconds: float) -> list[Task]:
        """Return what has become of tasks when all have ended, or the time is over."""
        deadline = time.monotonic() + seconds
        while True:
            tasks = self.tasks(numbers)
            if all(task.ended is not None for task in tasks) or time.monotonic() > deadline:
                return tasks
            time.sleep(_POLL)

    def unload(self) -> list[Task]:
        """End a load; return what has become of its tasks."""
        return [Task(**report) for report in self.ask("unload")]

    def end(self, signum: int, seconds: float) -> float | None:
        """Send a signal; return after how many seconds the process had ended, None if it had not."""
        began = time.monotonic()
        self._process.send_signal(signum)
        return time.monotonic() - began if wait_until(lambda: not self._process.is_running, seconds) else None

    def _launch(self, variables: Mapping[str, str]) -> None:
        if self._concurrency is None:
            command = [*self._python, "-m", "subject.faults"]
            program = OwnedProcess(command, log=self._log, cwd=self._folder, env=variables)
            self._stack.callback(program.end, signal.SIGKILL, 0)
            self._process: OwnedProcess | CeleryWorker = program
        else:
            worker = self._make_worker(variables, self._concurrency)
            self._stack.callback(worker.kill)
            worker.start()
            self._process = worker

    def _make_worker(self, variables: Mapping[str, str], concurrency: int) -> CeleryWorker:
        settings = {**json.loads(variables["BENCH_BROKER"]), **filesystem_broker(self._folder / "broker")}
        worker = CeleryWorker(
            "subject.faults_worker",
            pool="gevent",
            concurrency=concurrency,
            cwd=self._folder,
            env={**variables, "BENCH_BROKER": json.dumps(settings)},
            arguments=_ARGUMENTS,
            log_file=self._log,
            start_timeout=_START_SECONDS,
        )
        # The contender's Python, not this one.
        worker.command[:1] = self._python
        return worker

    def _accept(self, listener: socket.socket) -> socket.socket:
        listener.settimeout(_START_SECONDS)
        try:
            connection, _ = listener.accept()
        except TimeoutError as error:
            raise NoAnswer(f"the process did not start: {last_line(self._log)}") from error
        connection.settimeout(ANSWER_SECONDS)
        return connection
