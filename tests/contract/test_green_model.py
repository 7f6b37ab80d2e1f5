"""A model-based test: the laws of the pool hold whatever greenlets do, in whatever order.

Greenlets ask, hold, give back, end and are killed step by step; each connect, reset and close lasts until the test ends
it, with success or failure. Several steps may be taken before any greenlet runs again, so that they race.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from django_geventpool.errors import PoolClosed, PoolTimeout
from django_geventpool.options import PoolOptions
from django_geventpool.pool import Pool, server_limit
from django_geventpool.pool import holder as holders
from django_geventpool.pool.slot import Request, State
from tests.support import inside
from tests.support.scripted import Refused, ScriptedConnection, ScriptedDriver, ScriptedError, ServerFull, Step
from tests.support.tasks import Task
from tests.support.waiting import eventually

pytestmark = pytest.mark.frameworks("gevent", "eventlet")

PICK = st.integers(min_value=0, max_value=1000)
#: Whether the greenlets run after a step, before the next one.
RUN = st.sampled_from([True, True, False])


def let_run() -> None:
    """Let all greenlets run until each waits for something that doesn't come by itself."""
    for _ in range(12):
        time.sleep(0)


def await_soon(condition: Callable[[], bool], what: Callable[[], object]) -> None:
    for _ in range(500):
        if condition():
            return
        time.sleep(0)
    raise AssertionError(f"not in the end: {what()}")


#: The actor of the current greenlet.
_running = threading.local()


def running_actor() -> object | None:
    return getattr(_running, "actor", None)


class Actor:
    """A greenlet that asks for a connection, holds it until it is told, and then gives it back if it is careful."""

    def __init__(self, pool: Pool, careful: bool, timeout: float | None) -> None:
        self.started = self.is_at_fault = False
        self.connection: Any = None
        self._pool, self._careful, self._timeout = pool, careful, timeout
        self._told = threading.Event()
        self.task: Task[None] = Task(self._run)

    def _run(self) -> None:
        self.started = True
        _running.actor = self
        connection = self._pool.getconn(timeout=self._timeout)
        try:
            self.connection = connection
            self._told.wait()
        finally:
            self.connection = None
            if self._careful:
                self._pool.putconn(connection)
            else:
                self.is_at_fault = True

    def tell(self, careful: bool) -> None:
        self._careful = careful
        self._told.set()


class Waiting:
    """A step of the driver that lasts until the test ends it."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.error: Exception | None = None

    def end(self, error: Exception | None = None) -> None:
        self.error = error
        self.event.set()


class PoolMachine(RuleBasedStateMachine):
    """A pool, a scripted driver, and greenlets that use them."""

    def __init__(self) -> None:
        super().__init__()
        # The pause after a refusal by a full server ends when the test says so.
        self.patches = contextlib.ExitStack()
        self.patches.enter_context(mock.patch.object(server_limit, "BACKOFF", (1e6, 1e6)))
        self.patches.enter_context(mock.patch.object(holders, "describe", running_actor))
        self.driver = ScriptedDriver()
        self.driver.is_slow = False
        self.waiting: dict[Step, list[Waiting]] = {"opened": [], "reset": [], "close": []}
        for step in self.waiting:
            self.driver.always(step, lambda step=step: self.take_step(step))
        self.actors: list[Actor] = []
        self.closers: list[Task[None]] = []
        self.most = 0
        self.steps = 0

    @initialize(
        limit=st.integers(1, 3), reuse=st.sampled_from([None, 1]), idle_timeout=st.sampled_from([None, None, 0])
    )
    def start(self, limit: int, reuse: int | None, idle_timeout: float | None) -> None:
        self.pool = Pool(
            "model",
            self.driver,
            PoolOptions(
                MAX_CONNS=limit,
                REUSE_CONNS=reuse,
                CONN_WAIT_TIMEOUT=None,
                CONN_IDLE_TIMEOUT=idle_timeout,
                CONN_MAX_LIFETIME=None,
            ),
        )
        inside.give_up_the_list(self.pool)
        self.most = limit
        # The housekeeper's first look comes by itself; all later ones only when it is woken.
        inside.housekeeper(self.pool).start()
        eventually(lambda: inside.wakes_at(self.pool) != 0.0, "the housekeeper's first look")
        lend = inside.state(self.pool).lend

        def lend_in_turn(request: Request) -> bool:
            is_lent = lend(request)
            if is_lent:
                assert all(request.ticket <= other.ticket for other in inside.state(self.pool).waiting), "overtaken"
            return is_lent

        inside.state(self.pool).lend = lend_in_turn  # type: ignore[method-assign]

    def take_step(self, step: Step) -> None:
        waiting = Waiting()
        self.waiting[step].append(waiting)
        try:
            waiting.event.wait()
        finally:
            self.waiting[step].remove(waiting)
        if waiting.error is not None:
            raise waiting.error

    def after(self, run: bool) -> None:
        if run:
            let_run()

    # Steps

    @rule(careful=st.booleans(), timeout=st.sampled_from([None, None, None, 0]), run=RUN)
    def ask(self, careful: bool, timeout: float | None, run: bool) -> None:
        self.actors.append(Actor(self.pool, careful, timeout))
        self.after(run)

    @precondition(lambda self: self.holding())
    @rule(pick=PICK, careful=st.booleans(), fit=st.booleans(), run=RUN)
    def give_back_or_end(self, pick: int, careful: bool, fit: bool, run: bool) -> None:
        actor = self.holding()[pick % len(self.holding())]
        actor.connection.dirty = not fit
        actor.tell(careful)
        self.after(run)

    @precondition(lambda self: self.alive())
    @rule(pick=PICK, how=st.sampled_from(["kill", "timeout"]), run=RUN)
    def interrupt(self, pick: int, how: Any, run: bool) -> None:
        self.alive()[pick % len(self.alive())].task.interrupt(how)
        self.after(run)

    @precondition(lambda self: inside.state(self.pool).waiting and (self.waiting["reset"] or self.waiting["close"]))
    @rule(pick=PICK, how=st.sampled_from(["kill", "timeout"]), first=st.booleans())
    def interrupt_the_next_just_when_it_is_served(self, pick: int, how: Any, first: bool) -> None:
        actor: Any = next(iter(inside.state(self.pool).waiting)).label
        if first:
            actor.task.interrupt(how)
        self.end_step("reset" if self.waiting["reset"] else "close", pick, None, run=False)
        if not first:
            actor.task.interrupt(how)
        let_run()

    @precondition(lambda self: self.waiting["opened"])
    @rule(pick=PICK, error=st.sampled_from([None, None, Refused("no"), ServerFull("sorry")]), run=RUN)
    def end_connect(self, pick: int, error: Exception | None, run: bool) -> None:
        self.end_step("opened", pick, error, run)

    @precondition(lambda self: self.waiting["reset"])
    @rule(pick=PICK, error=st.sampled_from([None, None, ScriptedError("gone")]), run=RUN)
    def end_clean(self, pick: int, error: Exception | None, run: bool) -> None:
        self.end_step("reset", pick, error, run)

    @precondition(lambda self: self.waiting["close"])
    @rule(pick=PICK, run=RUN)
    def end_close(self, pick: int, run: bool) -> None:
        self.end_step("close", pick, None, run)

    def end_step(self, step: Step, pick: int, error: Exception | None, run: bool) -> None:
        self.waiting[step][pick % len(self.waiting[step])].end(error)
        self.after(run)

    @precondition(lambda self: inside.state(self.pool).idle)
    @rule(pick=PICK)
    def lose_an_idle_connection(self, pick: int) -> None:
        idle = inside.state(self.pool).idle
        idle[pick % len(idle)].connection.dead = True

    @precondition(lambda self: inside.state(self.pool).server.retry_at)
    @rule()
    def end_the_pause(self) -> None:
        inside.end_backoff(self.pool)
        let_run()

    @precondition(lambda self: self.steps % 5 == 0)
    @rule(limit=st.integers(1, 4), run=RUN)
    def resize(self, limit: int, run: bool) -> None:
        self.pool.resize(limit)
        self.most = max(self.most, limit)
        self.after(run)

    @precondition(lambda self: self.steps > 25)
    @rule(run=RUN)
    def close(self, run: bool) -> None:
        self.closers.append(Task(self.pool.close))
        self.after(run)

    def holding(self) -> list[Actor]:
        return [actor for actor in self.actors if actor.connection is not None]

    def alive(self) -> list[Actor]:
        return [actor for actor in self.actors if actor.started and not actor.task.ended]

    # The laws

    @invariant()
    def steps_are_counted(self) -> None:
        """Count the steps, as some are taken less often than others."""
        self.steps += 1

    @invariant()
    def the_server_never_has_more_than_the_limit(self) -> None:
        assert len(self.driver.live) <= len(inside.state(self.pool).slots)
        assert self.driver.peak <= self.most

    @invariant()
    def each_connection_of_the_server_has_its_slot(self) -> None:
        assert self.driver.live <= {slot.connection for slot in inside.slots(self.pool)}

    @invariant()
    def nothing_is_both_idle_and_lent(self) -> None:
        state = inside.state(self.pool)
        held: list[ScriptedConnection] = [actor.connection for actor in self.holding()]
        assert len(held) == len(set(held)), "lent twice"
        assert not {slot.connection for slot in state.idle} & set(held)
        assert all(slot.state is State.IDLE and slot.holder is None for slot in state.idle)

    @invariant()
    def a_held_connection_is_open(self) -> None:
        for actor in self.holding():
            assert actor.connection in self.driver.live
            assert not actor.connection.dead

    @invariant()
    def nobody_waits_for_what_is_there(self) -> None:
        state = inside.state(self.pool)
        if state.waiting:
            assert not state.idle
            assert (
                len(state.slots) >= state.limit
                or time.monotonic() < state.server.retry_at
                or sum(slot.state is State.CONNECTING for slot in state.slots) >= state.server.max_connecting >= 1
            )
            assert not state.closed

    @invariant()
    def those_who_wait_wait_in_the_order_of_their_asking(self) -> None:
        tickets = [request.ticket for request in inside.state(self.pool).waiting]
        assert tickets == sorted(tickets)

    @invariant()
    def what_is_held_is_lent(self) -> None:
        for slot in inside.slots(self.pool):
            if slot.holder is not None:
                assert slot in slot.holder.slots
                assert slot.state in (State.CONNECTING, State.IN_USE)
        assert all(slot in inside.state(self.pool).slots for slot in inside.state(self.pool).idle)

    # The end of a run

    def teardown(self) -> None:
        try:
            if hasattr(self, "pool"):
                self.bring_to_an_end()
        finally:
            self.patches.close()

    def bring_to_an_end(self) -> None:
        """Assert that nothing is lost: all actors end, and all connections can be lent at the same time."""
        for step in self.waiting:
            self.driver.always(step, None)
        for actor in self.actors:
            actor.tell(careful=True)
        await_soon(self.is_quiet, lambda: f"all at rest: {self.pool}")
        self.nothing_is_both_idle_and_lent()
        for actor in self.actors:
            assert (
                actor.task.error is None
                or isinstance(actor.task.error, (Refused, PoolClosed, PoolTimeout))
                or type(actor.task.error).__name__ in ("GreenletExit", "Timeout")
            ), actor.task.error
        # Only connections of holders that don't give back are reclaimed at their ends; all others clean up themselves.
        assert self.pool.stats().reclaimed == sum(actor.is_at_fault for actor in self.actors)
        if not self.pool.closed:
            limit = self.pool.stats().limit
            together = [Actor(self.pool, careful=True, timeout=None) for _ in range(limit)]
            await_soon(lambda: all(actor.connection for actor in together), lambda: f"the whole capacity: {self.pool}")
            for actor in together:
                actor.tell(careful=True)
            await_soon(lambda: all(actor.task.ended for actor in together), lambda: f"all given back: {self.pool}")
            self.pool.close()
        await_soon(lambda: self.pool.stats().size == 0, lambda: f"an empty pool: {self.pool}")
        assert not self.driver.live

    def is_quiet(self) -> bool:
        for waiting in self.waiting.values():
            for step in waiting:
                step.end()
        inside.end_backoff(self.pool)
        stats = self.pool.stats()
        return (
            all(actor.task.ended for actor in self.actors)
            and all(closer.ended for closer in self.closers)
            and stats.in_use == stats.waiting == stats.connecting == stats.closing == 0
        )


TestPool = PoolMachine.TestCase
TestPool.settings = settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=300,
    stateful_step_count=40,
    suppress_health_check=list(HealthCheck),
    # Phase.shrink would make a failing example short, but takes minutes.
    phases=[Phase.generate],
)
