"""Counts tasks that have ended, and takes time and CPU over the middle part of them."""

from __future__ import annotations

import json
import os
import resource
import time
from dataclasses import asdict, dataclass, field

import psutil


@dataclass(frozen=True)
class Plan:
    """How many tasks there are: those before the measured ones, the measured ones, those after."""

    warm_up: int
    tasks: int
    cool_down: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.warm_up + self.tasks + self.cool_down


def read_plan(workload: str) -> Plan:
    """Return the plan that the environment has for a workload."""
    return Plan(**json.loads(os.environ["BENCH_PLANS"])[workload])


@dataclass
class Outcome:
    """What was measured. Seconds are 0 when the measured tasks did not all end."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    ended: int = 0
    #: Why tasks failed, and how many.
    errors: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> str:
        """Return it as text."""
        return json.dumps(asdict(self))


class Meter:
    """Told of the end of each task. The measured ones run while as many others do, before, beside and after them."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.outcome = Outcome()
        pooler = os.environ.get("BENCH_POOLER_PID")
        self._pooler = psutil.Process(int(pooler)) if pooler else None
        self._began = (0.0, 0.0)

    @property
    def is_done(self) -> bool:
        """Whether all tasks have ended."""
        return self.outcome.ended >= self.plan.total

    def task_ended(self, error: BaseException | None) -> None:
        """Count one."""
        outcome = self.outcome
        outcome.ended += 1
        if error is not None:
            # The first words say what happened; the rest is different for each task.
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
            outcome.errors[reason] = outcome.errors.get(reason, 0) + 1
        if outcome.ended == self.plan.warm_up:
            self._began = self._now()
        elif outcome.ended == self.plan.warm_up + self.plan.tasks:
            seconds, cpu = self._now()
            outcome.seconds, outcome.cpu_seconds = seconds - self._began[0], cpu - self._began[1]

    def _now(self) -> tuple[float, float]:
        """The time, and the CPU that this process has used, its children, and the pooler that works for it."""
        cpu = 0.0
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
            usage = resource.getrusage(who)
            cpu += usage.ru_utime + usage.ru_stime
        if self._pooler is not None:
            times = self._pooler.cpu_times()
            cpu += times.user + times.system
        return time.perf_counter(), cpu
