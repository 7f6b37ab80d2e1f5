"""Counts the tasks that have ended, and measures time and CPU of those in the middle."""

from __future__ import annotations

import gc
import json
import os
import resource
import time
from dataclasses import asdict, dataclass, field

import psutil


@dataclass(frozen=True)
class Plan:
    """How many tasks run before the measured ones, are measured, and run after them."""

    warm_up: int
    tasks: int
    cool_down: int

    @property
    def total(self) -> int:
        """The number of all tasks."""
        return self.warm_up + self.tasks + self.cool_down


def read_plan(workload: str) -> Plan:
    """Return the plan for a workload, which is in the environment."""
    return Plan(**json.loads(os.environ["BENCH_PLANS"])[workload])


@dataclass
class Outcome:
    """The measured numbers. Seconds are 0 when not all of the measured tasks ended."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    #: Of these, in Python's garbage collections.
    gc_seconds: float = 0.0
    ended: int = 0
    #: When measuring began: the process's memory in bytes, and how many tasks had begun and not ended.
    rss: int = 0
    running: int = 0
    #: How many objects the garbage collector knew then, those that it leaves out apart.
    tracked: int = 0
    #: Why tasks failed, and how many each.
    errors: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> str:
        """Return the outcome as JSON."""
        return json.dumps(asdict(self))


class Meter:
    """Counts tasks, and measures those in the middle, which never run alone."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.outcome = Outcome()
        pooler = os.environ.get("BENCH_POOLER_PID")
        self._pooler = psutil.Process(int(pooler)) if pooler else None
        self._began = (0.0, 0.0)
        self._running = 0
        self._collecting_since = 0.0
        gc.callbacks.append(self._on_collection)

    @property
    def is_done(self) -> bool:
        """Whether the last task of the plan has just ended."""
        return self.outcome.ended == self.plan.total

    def task_began(self) -> None:
        """Count a task that begins."""
        self._running += 1

    def task_ended(self, error: BaseException | None) -> None:
        """Count a task; keep the reason if it failed."""
        outcome = self.outcome
        outcome.ended += 1
        self._running -= 1
        if error is not None:
            # The first words say what happened; the rest differs between tasks.
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
            outcome.errors[reason] = outcome.errors.get(reason, 0) + 1
        if outcome.ended == self.plan.warm_up:
            outcome.rss, outcome.running = psutil.Process().memory_info().rss, self._running
            outcome.tracked = len(gc.get_objects())
            outcome.gc_seconds = 0.0
            self._began = self._now()
        elif outcome.ended == self.plan.warm_up + self.plan.tasks:
            seconds, cpu = self._now()
            outcome.seconds, outcome.cpu_seconds = seconds - self._began[0], cpu - self._began[1]

    def _on_collection(self, phase: str, _info: dict[str, int]) -> None:
        now = time.perf_counter()
        if phase == "start":
            self._collecting_since = now
        elif self.outcome.ended < self.plan.warm_up + self.plan.tasks:
            self.outcome.gc_seconds += now - self._collecting_since

    def _now(self) -> tuple[float, float]:
        """Return the time, and the CPU that this process, its children and its pooler have used."""
        cpu = 0.0
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
            usage = resource.getrusage(who)
            cpu += usage.ru_utime + usage.ru_stime
        if self._pooler is not None:
            times = self._pooler.cpu_times()
            cpu += times.user + times.system
        return time.perf_counter(), cpu
