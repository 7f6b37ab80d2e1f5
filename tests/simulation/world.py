"""A simulated world: processes with pools, one server, faults for a while, and then an end that must be good."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from django_geventpool.options import PoolOptions
from django_geventpool.pool import Pool
from tests.support import inside

from .borrowers import Borrower, Habits
from .ending import Ending
from .faults import Faults
from .framework import Framework
from .laws import Laws, check_bound, check_sessions
from .process import Process
from .scheduler import Group, Scheduler
from .server import Server


@dataclass(frozen=True)
class Plan:
    """What a world begins with; it follows from the seed."""

    processes: int
    max_conns: int
    limit: int
    preemption: float
    wait: float
    idle: float
    lifetime: float | None
    least: int
    leaks: float | None
    habits: Habits

    def options(self) -> PoolOptions:
        return PoolOptions(
            MAX_CONNS=self.max_conns,
            MIN_CONNS=min(self.least, self.max_conns),
            CONN_WAIT_TIMEOUT=self.wait,
            CONN_IDLE_TIMEOUT=self.idle,
            CONN_MAX_LIFETIME=self.lifetime,
            LEAK_WARNING_AFTER=self.leaks,
        )


def plan(seed: int) -> Plan:
    """Return the plan of a seed."""
    random = Random(seed)
    processes, max_conns = random.choice([(1, 1), (1, 4), (2, 3), (3, 4), (3, 8), (5, 3), (6, 6), (8, 2)])
    together = processes * max_conns
    least = random.choice([0, 0, 1, 2])
    limit = random.choice([together + 2, max(processes + 2, together // 2), processes + 2, max(2, processes - 1)])
    habits = Habits(
        visits=random.choice([1, 3, 10]),
        think=random.choice([0.0, 0.02, 0.2]),
        query=random.choice([(0.001, 0.02), (0.001, 0.1), (0.01, 0.8)]),
        timeouts=random.choice([(), (0, 0.05, 1.0), (None,)]),
        urgent=random.choice([0.0, 0.1]),
        forgets=random.choice([0.0, 0.05]),
        owned=random.choice([0.0, 0.5, 1.0]),
        drops=random.choice([0.0, 0.05]),
        nests=random.choice([0.0, 0.0, 0.1]),
        gives_twice=random.choice([0.0, 0.1]),
        renames=random.choice([0.0, 0.05]),
    )
    return Plan(
        processes,
        max_conns,
        limit,
        preemption=random.choice([0.0, 0.05, 0.5]),
        wait=random.choice([0.5, 3.0, 15.0]),
        idle=random.choice([0.5, 3.0, 10.0]),
        lifetime=random.choice([None, 5.0]),
        # Else those without work would keep the others out.
        least=least if processes * least < limit - 1 else 0,
        leaks=random.choice([None, None, 1.0]),
        habits=habits,
    )


class World:
    """One world; ``run`` takes its steps."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.plan = plan(seed)
        self.scheduler = Scheduler(seed, self.plan.preemption)
        self.framework = Framework(self.scheduler)
        self.server = Server(self.scheduler, self.plan.limit)
        self.processes: list[Process] = []
        self.laws: dict[Group, list[Laws]] = {}
        self.faults = Faults(self)
        self._numbers = itertools.count(1)

    def alive(self) -> list[Process]:
        return [process for process in self.processes if not process.is_dead]

    def add_process(self) -> Process:
        process = Process(f"process {next(self._numbers)}", self.server, self.plan.options())
        self.processes.append(process)
        process.want(2 * self.plan.max_conns, lambda: self.make_borrower(process))
        return process

    def make_borrower(self, process: Process) -> Borrower:
        return Borrower(process, self.plan.habits)

    def run(self, steps: int) -> None:
        """Take so many steps with faults.

        :raises LawBroken: when a law is broken.
        """
        for _ in range(self.plan.processes):
            self.add_process()
        self.faults.begin()
        self.step_until(lambda: self.scheduler.steps >= steps)

    def step_until(self, is_enough: Callable[[], bool]) -> None:
        """Take steps, and check the laws after each, until something is so."""
        scheduler = self.scheduler
        while not is_enough():
            group = scheduler.step()
            if scheduler.failure is not None:
                raise scheduler.failure
            if group is not None:
                assert isinstance(group, Process)
                self.check(group)

    def check(self, process: Process) -> None:
        """Check the laws of a process's pools."""
        pools = self.laws.setdefault(process, [])
        if len(pools) != len(process.pools) or (len(pools) > 1 and any(map(_is_over, process.pools))):
            self.laws[process] = pools = self._laws_of(process, pools)
        now = self.scheduler.now
        for laws in pools:
            laws.check(now)
        check_bound(process)
        check_sessions(process, pools)

    def _laws_of(self, process: Process, before: list[Laws]) -> list[Laws]:
        process.pools = [pool for pool in process.pools if pool is process.pool or not _is_over(pool)]
        known = {laws.pool: laws for laws in before}
        return [known.get(pool) or Laws(process, pool) for pool in process.pools]

    def end(self) -> None:
        """Let nothing of the world go on."""
        self.scheduler.end([*self.processes])

    def come_to_an_end(self) -> None:
        """Let nothing go wrong any more, until all is quiet.

        :raises LawBroken: when a law is broken, or not all comes to its end.
        """
        self.faults.end()
        self.step_until(lambda: not self.faults.is_operating)
        Ending(self).run()


def _is_over(pool: Pool) -> bool:
    state = inside.state(pool)
    return state.closed and not state.slots
