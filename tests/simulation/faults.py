"""What goes wrong in a simulation: tasks, processes, the network and the server, at times that follow from the seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .borrowers import OwnTimeout
from .process import Process
from .scheduler import Task, Thrown

if TYPE_CHECKING:
    from .world import World

#: The pauses between two faults of one kind, at the most; in seconds.
OF_TASKS = 0.1
GRAVE = 2.5
LIGHT = 0.7
#: How many of those that hit tasks of the pool's own aren't called off.
HITS_OF_OTHERS = 0.2
#: How many of the pool's own tasks are killed before they begin.
STILLBORN = 0.005
#: The longest time that a process stands still, is cut off, or that the server is down; in seconds.
STANDSTILL = 5.0
CUT = 12.0
DOWN = 2.0
#: The share of dead processes whose host is dead too, so that the server doesn't hear of it.
HOSTS_LOST = 0.3
#: After how long at the most the server ends the sessions of such a process, in seconds.
HOST_KEEPALIVE = 8.0
#: The most sessions of others.
STRANGERS = 3


#: Names tasks that resize, replace and empty pools.
OPERATOR = "operator"


class Killed(Thrown):
    """A task is killed."""


class Faults:
    """The faults of one world, until they are ended."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.scheduler = world.scheduler
        self.random = world.scheduler.random
        self.is_over = False
        self._grave: list[Callable[[], object]] = [
            self.stop_process,
            self.cut_process,
            self.kill_process,
            self.restart_server,
            self.end_sessions,
            self.change_limit,
            self.change_weather,
        ]
        self._light: list[Callable[[], object]] = [
            self.change_strangers,
            self.resize_pool,
            self.replace_pool,
            self.close_idle,
            self.change_demand,
            self.change_demand,
        ]

    def begin(self) -> None:
        self.scheduler.stillborn = STILLBORN
        self.change_weather()
        self._again(OF_TASKS, self.hit_task)
        self._again(GRAVE, lambda: self._choose(self._grave))
        self._again(LIGHT, lambda: self._choose(self._light))

    def _again(self, longest: float, fault: Callable[[], object]) -> None:
        def hit() -> None:
            if not self.is_over:
                fault()
                self._again(longest, fault)

        self.scheduler.after(self.random.uniform(0, longest), hit)

    def end(self) -> None:
        """End all faults, and mend what can be mended."""
        self.is_over = True
        self.scheduler.stillborn = 0.0
        world = self.world
        server = world.server
        server.is_down = False
        server.strangers = 0
        server.lost_looks = server.late_ends = 0.0
        server.limit = world.plan.limit
        for process in world.alive():
            process.network.mend()
            process.go_on()
            for borrower in process.borrowers:
                borrower.dismiss(Killed())  # It may wait for what it holds itself.

    # Tasks

    def hit_task(self) -> None:
        processes = self.world.alive()
        if not processes:
            return
        process = self.random.choice(processes)
        if not process.tasks:
            return
        task = self.random.choice([*process.tasks])
        if task.has_not_begun and task.borrower is not None:
            return
        if task.borrower is None and (self.random.random() > HITS_OF_OTHERS or not self._may_be_hit(task)):
            return
        self.scheduler.note(f"{task} is hit")
        if task.borrower is None or self.random.random() < 0.5:
            self.scheduler.throw(task, Killed())
        elif not task.is_at_lock:
            self.scheduler.throw(task, OwnTimeout())

    def _may_be_hit(self, task: Task) -> bool:
        """Return whether the pool promises to go on if one of its own tasks is killed here."""
        return "Closer" in task.name or not (task.is_at_lock or task.has_not_begun)

    # Processes, the network, the server

    def _choose(self, kinds: list[Callable[[], object]]) -> None:
        fault = self.random.choice(kinds)
        self.scheduler.note(fault.__name__)
        fault()

    def _one(self) -> Process:
        return self.random.choice(self.world.alive())

    def _later(self, longest: float, action: Callable[[], object]) -> None:
        self.scheduler.after(self.random.uniform(0.01, longest), lambda: None if self.is_over else action())

    def stop_process(self) -> None:
        process = self._one()
        process.stop()
        self._later(STANDSTILL, process.go_on)

    def cut_process(self) -> None:
        process = self._one()
        process.network.cut()
        self._later(CUT, process.network.mend)

    def kill_process(self) -> None:
        """Kill a process; another begins in its place."""
        process = self._one()
        process.die()
        server = self.world.server
        longest = HOST_KEEPALIVE if self.random.random() < HOSTS_LOST else 0.2
        for session in list(process.sessions):
            self.scheduler.after(self.random.uniform(0.0, longest), lambda session=session: server.end(session))
        self.world.add_process()

    def restart_server(self) -> None:
        server = self.world.server
        server.stop()
        self._later(DOWN, lambda: setattr(server, "is_down", False))

    def end_sessions(self) -> None:
        server = self.world.server
        for session in list(server.sessions):
            if self.random.random() < 0.3:
                server.end(session)

    def change_limit(self) -> None:
        limit = self.world.plan.limit
        self.world.server.limit = self.random.choice([limit, limit, max(2, limit // 2), limit + 3])

    def change_strangers(self) -> None:
        self.world.server.strangers = self.random.randint(0, STRANGERS)

    def resize_pool(self) -> None:
        process = self._one()
        limit = self.random.randint(max(1, process.pool.options.MIN_CONNS), self.world.plan.max_conns)
        self._operate(process, lambda: process.pool.resize(limit))

    def replace_pool(self) -> None:
        process = self._one()
        self._operate(process, self.random.choice([process.change_target, process.close_pool]))

    def close_idle(self) -> None:
        process = self._one()
        self._operate(process, process.pool.close_idle)

    def _operate(self, process: Process, action: Callable[[], object]) -> None:
        """Let a task do something with a process's pool, unless another does."""
        if not self._is_operated(process):
            self.scheduler.start(process, OPERATOR, action)

    def _is_operated(self, process: Process) -> bool:
        return any(task.name == OPERATOR for task in process.tasks)

    @property
    def is_operating(self) -> bool:
        """Whether an operator is still at work, so that limits may change."""
        return any(map(self._is_operated, self.world.alive()))

    def change_demand(self) -> None:
        process = self._one()
        most = 3 * self.world.plan.max_conns
        wanted = self.random.choice([0, 1, self.random.randint(1, most), most])
        process.want(wanted, lambda: self.world.make_borrower(process))

    def change_weather(self) -> None:
        """Change how many looks are lost, and sessions end late."""
        server = self.world.server
        server.lost_looks = self.random.choice([0.0, 0.0, 0.3, 0.9])
        server.late_ends = self.random.choice([0.0, 0.02, 0.2])
