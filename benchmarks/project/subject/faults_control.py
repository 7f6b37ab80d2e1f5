"""Obeys the orders of ``python -m benchmarks faults``, which come over a socket, a line of JSON each.

The answer to an order is a line, too. Tasks are started and killed by the process's runner: greenlets, or a worker.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import time
from dataclasses import dataclass, field
from typing import Any, Protocol

import gevent
from gevent.event import Event

# After a failed task of a load, as errors may come at once (seconds).
_PAUSE = 0.05
_LONG = 30
_TICK = 0.02
_CHARACTERS = 200


@dataclass
class Task:
    """What becomes of a task."""

    number: int
    name: str
    arguments: dict[str, Any]
    #: The seconds of Celery's time limit.
    time_limit: float | None = None
    #: Times are of the monotonic clock.
    began: float | None = None
    ended: float | None = None
    error: str = ""
    is_database_error: bool = False
    value: Any = None
    #: Celery's id, or the greenlet.
    handle: Any = None
    has_ended: Event = field(default_factory=Event)

    def run(self) -> None:
        """Run its function; its error is kept, and raised."""
        from django.db import Error

        from subject.faults_tasks import TASKS

        self.began = time.monotonic()
        try:
            self.value = TASKS[self.name](**self.arguments)
        except BaseException as error:
            self.error = f"{type(error).__name__}: {' '.join(str(error).split())[:_CHARACTERS]}"
            self.is_database_error = isinstance(error, Error)
            raise

    def end(self) -> None:
        """Note its end."""
        self.ended = time.monotonic()
        self.has_ended.set()

    def report(self) -> dict[str, Any]:
        """Return what the judge is told."""
        names = ("number", "began", "ended", "error", "is_database_error", "value")
        return {name: getattr(self, name) for name in names}


class Runner(Protocol):
    """Starts and kills tasks."""

    def start(self, task: Task) -> None:
        """Start a task, and set its handle."""

    def kill(self, tasks: list[Task]) -> None:
        """Kill tasks."""


class Control:
    """The tasks by number, and the orders by name."""

    def __init__(self, runner: Runner) -> None:
        self.tasks: dict[int, Task] = {}
        self._runner = runner
        self._numbers = itertools.count()
        self._load: list[Task] = []
        self._is_loading = False
        self._standstill = 0.0

    def obey(self) -> None:
        """Connect to the judge, and obey until it leaves; then end the process if nothing else does."""
        with socket.create_connection(("127.0.0.1", int(os.environ["FAULTS_PORT"]))) as judge:
            lines = judge.makefile("rw")
            for line in lines:
                order, arguments = json.loads(line)
                lines.write(json.dumps(getattr(self, f"order_{order}")(**arguments)) + "\n")
                lines.flush()

    def order_start(self, name: str, values: list[dict[str, Any]], time_limit: float | None) -> list[int]:
        """Start a task for each of the arguments; return their numbers."""
        return [self._start(name, arguments, time_limit).number for arguments in values]

    def order_tasks(self, numbers: list[int]) -> list[dict[str, Any]]:
        """Return what has become of tasks."""
        return [self.tasks[number].report() for number in numbers]

    def order_kill(self, numbers: list[int]) -> None:
        """Kill tasks."""
        self._runner.kill([self.tasks[number] for number in numbers])

    def order_release(self) -> None:
        """Let go all tasks that hold a connection."""
        from subject.faults_tasks import release

        release()

    def order_load(self, name: str, width: int) -> None:
        """Keep so many tasks running, each followed by the next one."""
        self._is_loading = True
        for _ in range(width):
            gevent.spawn(self._keep_running, name)

    def order_unload(self) -> list[dict[str, Any]]:
        """End that; return what has become of all of its tasks."""
        self._is_loading = False
        gevent.wait([task.has_ended for task in self._load], timeout=2)
        return [task.report() for task in self._load]

    def order_watch(self) -> None:
        """Have a greenlet watch how long it can't go on."""
        gevent.spawn(self._watch)

    def order_standstill(self) -> float:
        """Return for how many seconds that was at the most."""
        return self._standstill

    def order_fork(self) -> dict[str, Any]:
        """Fork, and return what the child has met."""
        from django.db import connections

        from subject.faults_tasks import query_in_child

        try:
            return query_in_child()
        finally:
            connections.close_all()

    def _watch(self) -> None:
        before = time.monotonic()
        while True:
            gevent.sleep(_TICK)
            now = time.monotonic()
            self._standstill = max(self._standstill, now - before - _TICK)
            before = now

    def _keep_running(self, name: str) -> None:
        while self._is_loading:
            task = self._start(name, {}, None)
            self._load.append(task)
            task.has_ended.wait(_LONG)
            if task.error:
                time.sleep(_PAUSE)

    def _start(self, name: str, arguments: dict[str, Any], time_limit: float | None) -> Task:
        task = Task(next(self._numbers), name, arguments, time_limit)
        self.tasks[task.number] = task
        self._runner.start(task)
        return task
