"""The servers and workers of a run, and the faults that they meet."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import math
import random
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.fleet.contenders import CONTENDERS, Driver
from benchmarks.fleet.ground import ROLE, Ground, prepared
from benchmarks.fleet.scenarios import Phase, Shape
from benchmarks.fleet.statistics import Counts, Sample, measure
from benchmarks.fleet.watch import SessionWatch
from benchmarks.fleet.workers import Framework, Kind, Workers
from servers.postgres import StopMode
from servers.postgres_standby import StandbyServer
from servers.proxy import Proxy

from .faults import Fault
from .laws import Evidence

#: How long nothing happens at the end, and for how much of that the fleet is measured (seconds).
QUIET, MEASURED = 12.0, 6.0

_QUERY_SECONDS = 0.05
_END_SECONDS = 15.0
#: Ours, one after the other.
_MODES = [contender for contender in CONTENDERS if contender.mode is not None]
_STOP_MODES: tuple[StopMode, ...] = ("fast", "immediate")


class Arena:
    """Workers that are always busy, on a server behind a proxy; a context manager.

    :param shape: with the limit that is in force at the begin, and in the quiet time at the end.
    """

    def __init__(
        self, shape: Shape, seconds: float, *, framework: Framework, driver: Driver, with_standby: bool, seed: int
    ) -> None:
        self._shape = shape
        self._seconds = seconds
        self._framework = framework
        self._driver = driver
        self._with_standby = with_standby
        self._chance = random.Random(seed)
        self._stack = contextlib.ExitStack()
        self._standby: StandbyServer | None = None
        self._happened: list[Fault] = []
        self._limits: list[tuple[float, int]] = [(-math.inf, shape.limit)]

    def __enter__(self) -> Arena:
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="geventpool-nemesis-")))
            # Limits go up to three times the workers.
            self._ground: Ground = stack.enter_context(prepared(max(self._shape.limit, 3 * self._shape.workers)))
            self._ground.set_limit(self._shape.limit)
            server = self._ground.server
            if self._with_standby:
                self._standby = stack.enter_context(StandbyServer(server))
            self._proxy = stack.enter_context(Proxy(server.host, server.port))
            dsn = self._ground.dsn
            self._workers = stack.enter_context(Workers(folder, {**dsn, "port": self._proxy.port}))
            self._watch = stack.enter_context(SessionWatch(self._ground.superuser_dsn, ROLE))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def run(self, faults: Sequence[Fault]) -> Evidence:
        """Let the workers meet the faults; return what was seen. Ends ``QUIET`` seconds after they have ended."""
        numbers = range(self._shape.workers)
        for number in numbers:
            self._launch(number)
        self._workers.wait_until_ready(numbers)
        self._start = self._workers.begin()
        self._happen(faults)
        self._set_limit(self._shape.limit)
        end = self._seconds
        self._sleep_until(end)
        statuses = self._workers.end_all(_END_SECONDS)
        samples = [Sample(sample.at - self._start, sample.sessions) for sample in list(self._watch.samples)]
        tasks = [task for number in numbers for task in self._workers.tasks(number)]
        quiet = Phase("quiet", end - MEASURED, end, frozenset(numbers), self._shape.limit)
        return Evidence(
            seconds=end,
            workers=self._shape.workers,
            max_conns=self._shape.max_conns,
            faults=self._happened,
            limits=self._limits,
            samples=[sample for sample in samples if 0 <= sample.at <= end],
            tasks=tasks,
            figures=measure(quiet, self._shape, _QUERY_SECONDS, tasks, samples, Counts(0, 0, 0)),
            statuses=statuses,
        )

    def _happen(self, faults: Sequence[Fault]) -> None:
        order = itertools.count()
        due: list[tuple[float, int, Fault, bool]] = [(fault.begin, next(order), fault, True) for fault in faults]
        heapq.heapify(due)
        while due:
            at, _, fault, is_begin = heapq.heappop(due)
            self._sleep_until(at)
            began = self._now()
            if not is_begin:
                self._end(fault)
                self._happened.append(replace(fault, end=self._now()))
                continue
            print(fault, flush=True)
            self._begin(fault)
            heapq.heappush(due, (fault.end, next(order), replace(fault, begin=began), False))

    def _begin(self, fault: Fault) -> None:
        actions: dict[str, Callable[[], object]] = {
            "kill": lambda: self._workers.kill(fault.value),
            "pause": lambda: self._workers.send_signal(fault.value, signal.SIGSTOP),
            "restart": lambda: self._ground.server.restart(mode=self._chance.choice(_STOP_MODES)),
            "freeze": self._proxy.freeze,
            "reset": self._proxy.reset,
            "limit": lambda: self._set_limit(fault.value),
            "promote": self._promote,
        }
        actions[fault.kind]()

    def _end(self, fault: Fault) -> None:
        if fault.kind == "kill":
            self._launch(fault.value)
        elif fault.kind == "pause":
            self._workers.send_signal(fault.value, signal.SIGCONT)
        elif fault.kind == "freeze":
            self._proxy.thaw()

    def _launch(self, number: int) -> None:
        kind = Kind(
            _MODES[number % len(_MODES)],
            self._framework,
            self._driver,
            max_conns=self._shape.max_conns,
            greenlets=2 * self._shape.max_conns,
            query_seconds=_QUERY_SECONDS,
        )
        self._workers.launch(number, kind, [(0.0, self._seconds)], self._seconds + 1)

    def _set_limit(self, limit: int) -> None:
        is_raised = limit > self._limits[-1][1]
        if is_raised:
            self._limits.append((self._now(), limit))
        self._ground.set_limit(limit)
        if not is_raised:
            self._limits.append((self._now(), limit))

    def _promote(self) -> None:
        """Stop the primary, and let the standby take its place, with the address that workers know."""
        standby, self._standby = self._standby, None
        assert standby is not None
        self._ground.server.stop(mode="immediate")
        standby.promote()
        self._ground = Ground(standby)
        # The last change may not have reached it.
        self._ground.set_limit(self._limits[-1][1])
        self._watch.follow(self._ground.superuser_dsn)
        self._proxy.move(standby.host, standby.port)
        self._proxy.reset()

    def _now(self) -> float:
        return time.monotonic() - self._start

    def _sleep_until(self, at: float) -> None:
        time.sleep(max(0.0, at - self._now()))
