"""The tasks of a soak test, and the faults that they meet."""

from __future__ import annotations

import contextlib
import functools
import gc
import heapq
import itertools
import logging
import random
import time
from collections import Counter
from typing import Any

from django.db import Error

from django_geventpool.errors import PoolTimeout
from servers.postgres import PostgresServer
from servers.proxy import Proxy
from tests.support.alarm import Alarm
from tests.support.campaign import run_catching
from tests.support.errors_thrown import SoftLimit
from tests.support.observer import Observer
from tests.support.scene import Scene, make_rows, remove_rows
from tests.support.schema import make_schema
from tests.support.small_programs import PROGRAMS, Program
from tests.support.tasks import FRAMEWORK, Task, is_interruption
from tests.support.waiting import eventually
from tests.support.wholeness import check_whole

from .measures import Trend

LIMIT = 5
#: How many tasks run at a time: fewer in threads, which cost more.
TASKS = 12 if FRAMEWORK == "threads" else 60
#: The part of tasks that is killed; with threads, the main thread's tasks are ended by signals instead.
KILLED = 1 / 3
#: The seconds between two faults of connections.
BLOWS_EVERY = 0.5
#: Programs that don't need the pool for themselves. None has a pipeline: libpq begins one in single-row mode if the
#: connection's last statement, whoever's it was, was a stream.
NAMES = {
    "get", "count", "several_queries", "raw_cursor", "driver_connection", "failing_query", "create_in_atomic",
    "nested_atomic", "failing_transaction", "on_commit", "autocommit_off", "transaction_by_hand", "iterator_half_read",
    "iterator_in_atomic", "iterator_left_in_atomic", "connection_copy", "connection_copy_dropped", "wrapper_dropped",
    "close_in_the_middle", "pinned_block", "close_connection_block", "ends_without_giving_back", "driver_transaction",
    "copy_out", "copy_in", "stream", "stream_left", "copy_expert",
}  # fmt: skip


def soak(seconds: float) -> dict[str, Any]:
    """Work for a number of seconds, and return the findings, which can be written as JSON."""
    logging.getLogger().addHandler(logging.NullHandler())
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(PostgresServer(max_connections=100))
        observer = stack.enter_context(Observer(server))
        proxy = stack.enter_context(Proxy(server.host, server.port))
        make_schema(server)
        make_rows(server)
        work = Work(server, observer, proxy)
        alarm = Alarm() if FRAMEWORK == "threads" else None
        with alarm.installed() if alarm is not None else contextlib.nullcontext():
            error = run_catching(lambda: work.go_on(seconds, alarm))
        if error is not None:
            work.problems.append(f"the soak could not go on: {error!r}")
        work.finish()
        if (error := run_catching(_see_tasks_gone)) is not None:
            work.problems.append(f"at the end: {error}")
        return {
            "counts": dict(work.counts),
            "measures": work.trend.summary(),
            "problems": [*work.problems[:20], *work.trend.grown()],
        }


class Work:
    """Tasks on several pools; one of these meets no faults but the kills of its tasks."""

    def __init__(self, server: PostgresServer, observer: Observer, proxy: Proxy) -> None:
        self._observer = observer
        self._proxy = proxy
        self._server = server
        common = {"MAX_CONNS": LIMIT, "CONN_WAIT_TIMEOUT": 120}
        short = {"CONN_MAX_LIFETIME": 0.5, "CONN_IDLE_TIMEOUT": 0.2, "MIN_CONNS": 1}
        through = {"HOST": "127.0.0.1", "PORT": proxy.port}
        self._calm = Scene(server, observer, common)
        self._ended = [
            Scene(server, observer, {**common, "POOL_MODE": "transaction"}),
            Scene(server, observer, {**common, **short, "ON_RELEASE_DISCARD_ALL": True}),
        ]
        self._cut = [
            Scene(server, observer, {**common, **short, "POOL_MODE": "transaction"}, **through),
            Scene(server, observer, common, **through),
        ]
        self._scenes = [self._calm, *self._ended, *self._cut]
        self._programs = [program for program in PROGRAMS if program.name in NAMES]
        self._random = random.Random()
        self._running: list[tuple[Task[None], Scene, Program, bool]] = []
        self._doomed: list[tuple[float, int, Task[None]]] = []
        self._numbers = itertools.count()
        self.counts: Counter[str] = Counter()
        self.problems: list[str] = []
        self.trend = Trend()

    def go_on(self, seconds: float, alarm: Alarm | None) -> None:
        start = time.monotonic()
        next_blow = next_sample = next_cleaning = start
        while (now := time.monotonic()) < start + seconds:
            self._start_tasks()
            self._kill_doomed(now)
            self._see_to_ended()
            if alarm is not None:
                self._run_with_signal(alarm)
            if now >= next_blow:
                self._strike()
                next_blow = now + BLOWS_EVERY
            if now >= next_sample:
                self.trend.add()
                next_sample = now + max(1.0, seconds / 200)
            if now >= next_cleaning:
                self._server.query("DELETE FROM testapp_item WHERE name = 'scene written'")
                next_cleaning = now + 5
            time.sleep(0.001)

    def _start_tasks(self) -> None:
        while len(self._running) < TASKS:
            scene, program = self._random.choice(self._scenes), self._random.choice(self._programs)
            is_victim = FRAMEWORK != "threads" and self._random.random() < KILLED
            task = Task(functools.partial(_run_whole, program, scene))
            self._running.append((task, scene, program, is_victim))
            if is_victim:
                when = time.monotonic() + self._random.uniform(0, 0.1)
                heapq.heappush(self._doomed, (when, next(self._numbers), task))

    def _kill_doomed(self, now: float) -> None:
        while self._doomed and self._doomed[0][0] <= now:
            task = heapq.heappop(self._doomed)[2]
            if not task.ended:
                self.counts["killed"] += 1
                task.interrupt(self._random.choice(("kill", "timeout")))

    def _see_to_ended(self) -> None:
        for entry in [entry for entry in self._running if entry[0].ended]:
            self._running.remove(entry)
            task, scene, program, is_victim = entry
            if not (is_victim and is_interruption(task.error)):
                self._note(scene, program, task.error)

    def _note(self, scene: Scene, program: Program, error: BaseException | None) -> None:
        """Record the outcome of a task that was not interrupted."""
        if error is None:
            self.counts["done"] += 1
        elif scene is self._calm or not isinstance(error, _driver_errors()) or isinstance(error, PoolTimeout):
            self.problems.append(f"{program.name} on {scene.pool}: {error!r}")
        else:
            self.counts["lost their connection"] += 1

    def _run_with_signal(self, alarm: Alarm) -> None:
        """Run a task here, in the main thread, and interrupt it by a signal."""
        scene, program = self._random.choice(self._scenes), self._random.choice(self._programs)

        def run() -> None:
            try:
                alarm.set(self._random.uniform(0.00005, 0.02))
                _run_whole(program, scene)
            finally:
                alarm.call_off()

        error = run_catching(run)
        alarm.call_off()
        scene.give_back()
        if alarm.raised is None:
            self._note(scene, program, error)
        else:
            self.counts["ended by a signal"] += 1
            if error is not None and not isinstance(error, (SoftLimit, *_driver_errors())):
                self.problems.append(f"{program.name}, ended by a signal: {error!r}")

    def _strike(self) -> None:
        """Break connections."""
        self.counts["blows"] += 1
        blow = self._random.randrange(5)
        if blow < 2:
            self._observer.end(self._random.choice(self._ended).database.role)
        elif blow == 2:
            self._proxy.reset()
        elif blow == 3:
            self._proxy.drop()
        else:
            self._proxy.cut_after(self._random.randrange(1, 5000))

    def finish(self) -> None:
        """Let the tasks end, and check that everything is whole."""
        for task, scene, program, _ in self._running:
            if run_catching(task.wait) is not None:
                self.problems.append(f"{program.name} on {scene.alias} does not end")
                break
        self._see_to_ended()
        self._doomed.clear()
        self._proxy.cut_after(10**12)
        for scene in self._scenes:
            error = run_catching(functools.partial(check_whole, scene.database, self._observer))
            if error is None:
                scene.close()
            else:
                self.problems.append(f"at the end: {error}")
                scene.abandon()
        remove_rows(self._server)


def _see_tasks_gone() -> None:
    """Check that no reference keeps an ended task, not even one of thousands."""

    def count() -> int:
        gc.collect()
        return sum(type(entry) is Task for entry in gc.get_objects())

    eventually(lambda: count() == 0, "no task kept by anything")


def _run_whole(program: Program, scene: Scene) -> None:
    try:
        program.run(scene)
    finally:
        if program.gives_back:
            scene.give_back()


@functools.cache
def _driver_errors() -> tuple[type[BaseException], ...]:
    """Return the errors of a lost connection: Django's, and the driver's where programs use its connection."""
    from tests.support.drivers import driver

    return (Error, driver.Error)
