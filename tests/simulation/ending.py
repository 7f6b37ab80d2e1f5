"""The end of a simulation: once no more goes wrong, all are served, each process has its share, and nothing is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from django_geventpool.pool.fleet.shares import fill
from django_geventpool.pool.fleet.standing import SILENT_AFTER
from django_geventpool.pool.slot import State
from tests.support import inside

from .borrowers import Borrower, Habits
from .laws import LATE, LawBroken
from .process import Process

if TYPE_CHECKING:
    from .world import World

#: So long after the last fault everything is to be in its place; for how long it is watched then, and if there are more
#: processes than connections, so that they take turns; in seconds.
SETTLED = 15.0
WATCHED = 6.0
WATCHED_TURNS = 25.0
#: How many queries a second all processes together make, about.
QUERIES = 40.0
#: The least part of its fair share that each process gets, as throughput.
LEAST_SHARE = 0.6
#: How soon a process that is the only one with work has what it may have: others may keep a connection whose badge is
#: from when they had work, and hold until they count as silent.
LONE_WITHIN = SILENT_AFTER + 4.0
#: How long tasks and connections may take to go, at the most, in seconds.
GONE_WITHIN = 30.0
#: After how long at the latest the housekeeper looks at idle connections.
LOOKED_AT_WITHIN = 3.0


class Ending:
    """What is to be so in the end."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.scheduler = world.scheduler
        self.limit = world.plan.limit
        self.processes = world.alive()
        self.limits = [inside.state(process.pool).limit for process in self.processes]
        #: One connection is kept free for newcomers.
        self.has_turns = len(self.processes) > self.limit - 1
        #: What each can count on: what can't be divided evenly may be another's.
        self.shares = [self._share(number) for number in range(len(self.limits))]
        self.query = max(0.05, sum(self.shares) / QUERIES)

    def _share(self, number: int) -> int:
        """Return the fair share of a process that comes last where something can't be divided."""
        others = self.limits[:number] + self.limits[number + 1 :]
        return fill([*others, self.limits[number]], self.limit - 1)[-1]

    def run(self) -> None:
        """Let everything come to its end.

        :raises LawBroken: if that isn't as it should be.
        """
        self._make_busy(self.processes)
        self._pass(SETTLED + 5 * self.query)
        self._watch()
        self._check_lone()
        self._drain()
        # Of tasks, only the housekeeper is left.
        self._await(lambda: all(len(process.tasks) <= 1 for process in self.processes), "tasks have not ended")
        self._check_nothing_left()

    def _fail(self, text: str) -> NoReturn:
        raise LawBroken(text)

    def _pass(self, seconds: float) -> None:
        end = self._end_in(seconds)
        self.world.step_until(lambda: self.scheduler.now >= end)

    def _end_in(self, seconds: float) -> float:
        """Return a time at which something happens in any case."""
        end = self.scheduler.now + seconds
        self.scheduler.at(end, lambda: None)
        return end

    def _make_busy(self, processes: list[Process]) -> None:
        habits = Habits(visits=5, think=0.0, query=(self.query, self.query), own_timeouts=1.0, timeouts=(None,))
        for process in processes:
            wanted = 2 * inside.state(process.pool).limit
            process.want(wanted, lambda process=process: Borrower(process, habits))

    def _watch(self) -> None:
        """Watch that each process has its share, and nobody runs out of time."""
        before = [(process.counted.served, process.counted.errors) for process in self.processes]
        seconds = WATCHED_TURNS if self.has_turns else max(WATCHED, 12 * self.query)
        self._pass(seconds)
        for process, (served, errors), share in zip(self.processes, before, self.shares, strict=True):
            if process.counted.errors > errors:
                self._fail(f"errors, although nothing goes wrong: {process}")
            served = process.counted.served - served
            if self.has_turns:
                if not served:
                    self._fail(f"nobody was served in {seconds:.0f} s: {process}")
            elif served < LEAST_SHARE * share * seconds / self.query:
                due = share * seconds / self.query
                self._fail(f"{served} were served in {seconds:.1f} s, where {due:.0f} would have been fair: {process}")

    def _drain(self) -> None:
        """Let all borrowers end; the idle connections that nobody keeps are closed then."""
        for process in self.processes:
            process.wanted = 0
        self._await(lambda: not any(process.borrowers for process in self.processes), "not all borrowers have ended")
        idle = self.world.plan.idle
        self._pass(max(idle, 1.0) + LOOKED_AT_WITHIN + LATE)
        self._await(lambda: all(map(self._is_quiet, self.processes)), "connections are left over")

    def _is_quiet(self, process: Process) -> bool:
        state = inside.state(process.pool)
        is_idle = all(slot.state is State.IDLE for slot in state.slots)
        return is_idle and len(state.slots) <= state.options.MIN_CONNS and len(process.sessions) == len(state.slots)

    def _await(self, is_so: object, problem: str) -> None:
        end = self._end_in(GONE_WITHIN)
        self.world.step_until(lambda: is_so() or self.scheduler.now >= end)  # type: ignore[operator]
        if not is_so():  # type: ignore[operator]
            self._fail(f"{problem}: {[*self.processes]}")

    def _check_lone(self) -> None:
        """Check that a process which is the only one with work soon has what it may have."""
        lone, *others = self.processes
        for process in others:
            process.wanted = 0
        self._await(lambda: not any(process.borrowers for process in others), "not all borrowers have ended")
        state = inside.state(lone.pool)
        kept = sum(min(inside.state(process.pool).options.MIN_CONNS, self.limit) for process in others)
        possible = min(state.limit, self.limit - 1 - kept)
        end = self._end_in(LONE_WITHIN)

        def is_reached() -> bool:
            return sum(slot.state is State.IN_USE for slot in state.slots) >= possible

        self.world.step_until(lambda: is_reached() or self.scheduler.now >= end)
        if not is_reached():
            self._fail(f"alone, it has less than {possible} connections after {LONE_WITHIN} s: {lone}")

    def _check_nothing_left(self) -> None:
        for process in self.processes:
            if process.loans or inside.state(process.pool).waiting:
                self._fail(f"somebody has, or waits for, a connection: {process}")
            before = [pool for pool in process.pools if pool is not process.pool]
            if any(inside.slots(pool) or inside.state(pool).waiting for pool in before):
                self._fail(f"a pool that was replaced has not gone: {process}")
