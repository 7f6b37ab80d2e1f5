"""Runs tasks one step at a time, on a clock of its own, in an order that follows from a seed."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable
from typing import Any

import greenlet

#: How much of the simulated processor one step takes at the most, in seconds.
STEP_TIME = 0.0001
#: How often the system lets a task wait that could run, and for how long at the most (seconds).
DELAYS = 0.01
DELAY = 0.01
#: How many of the last steps and events are kept.
TRACED = 60


class Thrown(BaseException):
    """What comes out of a task's wait: it was killed, or a timeout of its own is over."""


class Group:
    """Tasks that stop together: those of one simulated process."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.tasks: dict[Task, None] = {}
        self.is_stopped = False
        self.is_dead = False
        #: Tasks that could run, if the group was not stopped.
        self.parked: list[Task] = []


class Task(greenlet.greenlet):
    """What stands for a greenlet or thread of the program that is simulated."""

    def __init__(self, scheduler: Scheduler, group: Group, name: str, function: Callable[..., object], *args: Any):
        super().__init__(parent=scheduler.main)
        self.scheduler = scheduler
        self.group = group
        self.name = name
        self.number = next(scheduler.numbers)
        self.local: dict[str, Any] = {}
        #: Who borrows in this task, if it is one that does.
        self.borrower: Any = None
        self.is_ready = False
        #: What is thrown when it next goes on.
        self.error: BaseException | None = None
        #: Whether it was stopped where it was about to enter the pool's lock, or had just left it.
        self.is_at_lock = False
        #: Tells the timers of its present wait from those of earlier ones.
        self.wait_number = 0
        self._function: Callable[..., object] | None = function
        self._args = args

    @property
    def has_not_begun(self) -> bool:
        return self._function is not None

    def __repr__(self) -> str:
        return f"{self.group.name}: {self.name} {self.number}"

    def run(self) -> None:
        function, self._function = self._function, None
        assert function is not None
        try:
            function(*self._args)
        except (Thrown, greenlet.GreenletExit):
            pass
        except Exception as error:  # noqa: BLE001  whoever drives the simulation raises it
            self.scheduler.failed(error)
        finally:
            self._args = ()
            self.local.clear()


class Scheduler:
    """The tasks, the clock, and the choice of who goes on.

    :param preemption: how likely it is that another goes on where the pool enters or leaves its lock, as it may be with
        threads; 0 for never, as with greenlets.
    """

    def __init__(self, seed: int, preemption: float = 0.0) -> None:
        self.random = random.Random(seed)
        self.now = 1000.0
        self.steps = 0
        self.numbers = itertools.count(1)
        #: The task that runs; None between steps, when nobody may wait.
        self.current: Task | None = None
        #: The last steps and events, for messages.
        self.trace: deque[tuple[int, float, object]] = deque(maxlen=TRACED)
        #: Stands for all steps until now.
        self.digest = 0
        self.preemption = preemption
        #: How likely it is that a task of the pool's own is killed before it begins.
        self.stillborn = 0.0
        #: Whether the simulation is over, so that whoever waits is to end.
        self.is_over = False
        #: The first error that came out of a task.
        self.failure: BaseException | None = None
        self._draw = self.random.random
        #: Where the scheduler runs: to it, tasks switch to wait.
        self.main = greenlet.getcurrent()
        self._ready: list[Task] = []
        self._timers: list[tuple[float, int, Task | None, Any]] = []
        self._timer_numbers = itertools.count()

    # For whoever drives the simulation

    def start(self, group: Group, name: str, function: Callable[..., object], *args: Any) -> Task | None:
        """Start a task; None if the simulation is over."""
        if self.is_over or group.is_dead:
            return None
        task = Task(self, group, name, function, *args)
        group.tasks[task] = None
        self._make_ready(task)
        return task

    def at(self, when: float, action: Callable[[], object]) -> None:
        """Call a function at a time, between two steps; it can't wait."""
        heapq.heappush(self._timers, (when, next(self._timer_numbers), None, action))

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        self.at(self.now + seconds, action)

    def step(self) -> Group | None:
        """Let one task run until it waits, and return its group; None if time has passed, and none can run yet.

        :raises IndexError: if nothing can happen any more.
        """
        self._fire_timers()
        while True:
            if not self._ready:
                self.now = max(self.now, self._timers[0][0])
                self._fire_timers()
                if not self._ready:
                    return None
            task = self._pick()
            group = task.group
            if group.is_dead:
                task.is_ready = False
            elif group.is_stopped:
                group.parked.append(task)
            elif self._draw() < DELAYS:
                self._push(self.now + self._draw() * DELAY, task)
                task.is_ready = False
            else:
                break
        self.steps += 1
        self.now += self._draw() * STEP_TIME
        self.digest = (self.digest * 1000003 + task.number * 7919 + int(self.now * 1e7)) & 0xFFFFFFFFFFFFFFFF
        self.trace.append((self.steps, self.now, task))
        task.is_ready = False
        task.wait_number += 1
        self._run(task)
        return group

    def _pick(self) -> Task:
        ready = self._ready
        index = int(self._draw() * len(ready))
        task, last = ready[index], ready.pop()
        if last is not task:
            ready[index] = last
        return task

    def _run(self, task: Task) -> None:
        self.current = task
        error, task.error = task.error, None
        try:
            if error is None:
                task.switch()
            else:
                task.throw(error)
        except Thrown:
            pass  # It had yet to begin.
        finally:
            self.current = None
        if task.dead:
            task.group.tasks.pop(task, None)
            task.local.clear()

    def _fire_timers(self) -> None:
        timers, now = self._timers, self.now
        while timers and timers[0][0] <= now:
            _, _, task, what = heapq.heappop(timers)
            if task is None:
                what()
            elif task.wait_number == what and not task.is_ready:
                self._make_ready(task)

    def _push(self, when: float, task: Task) -> None:
        heapq.heappush(self._timers, (when, next(self._timer_numbers), task, task.wait_number))

    def _make_ready(self, task: Task) -> None:
        task.is_ready = True
        self._ready.append(task)

    def stop(self, group: Group) -> None:
        """Let no task of a group run, until it is continued."""
        group.is_stopped = True

    def go_on(self, group: Group) -> None:
        group.is_stopped = False
        self._ready += group.parked
        group.parked.clear()

    def throw(self, task: Task, error: BaseException) -> None:
        """Make a task go on with an error, wherever it waits."""
        if not task.dead and task is not self.current:
            task.error = error
            self.wake(task)

    def end(self, groups: list[Group]) -> None:
        """End all tasks, which may not wait any more."""
        self.is_over = True
        for group in groups:
            for task in list(group.tasks):
                self.current = task
                task.throw(greenlet.GreenletExit())
            group.tasks.clear()
        self.current = None

    # For tasks

    def wait(self, until: float | None = None) -> None:
        """Wait until the running task is woken, or until a time."""
        task = self.current
        assert task is not None, "whoever drives the simulation can't wait"
        if self.is_over:
            raise greenlet.GreenletExit
        if until is not None:
            self._push(until, task)
        self.main.switch()

    def sleep(self, seconds: float) -> None:
        end = self.now + seconds
        self.wait(end)
        while self.now < end:  # Somebody woke it who didn't know that it sleeps.
            self.wait(end)

    def wake(self, task: Task) -> None:
        """Let a task go on that waits."""
        if not task.is_ready and not task.dead and task is not self.current:
            self._make_ready(task)

    def let_others_run(self) -> None:
        """Let another task go on first, now and then, where threads may be interrupted."""
        task = self.current
        if self.preemption and task is not None and not self.is_over and self._draw() < self.preemption:
            task.is_at_lock = True
            self._make_ready(task)
            try:
                self.main.switch()
            finally:
                task.is_at_lock = False

    def note(self, event: str) -> None:
        """Record what happens, for messages and for the digest."""
        self.trace.append((self.steps, self.now, event))

    def failed(self, error: BaseException) -> None:
        """Record an error that nobody expected."""
        if self.failure is None and not self.is_over:
            self.failure = error
