"""A model-based test: the invariants of the pool's state hold whatever happens, in whatever order.

The steps are the pool's, on the test's own clock; ``state_laws`` has the invariants. The waiting itself is tested by
the contract suite.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from django_geventpool.options import PoolOptions
from django_geventpool.pool.holder import Holder
from django_geventpool.pool.slot import Request, Slot, State
from django_geventpool.pool.state import PoolState
from django_geventpool.pool.upkeep import Upkeep
from tests.support.state_laws import LawfulState

PICK = st.integers(min_value=0, max_value=1000)


class Connection:
    """The connection of a slot."""


class StateMachine(LawfulState):
    """Changes a state as the pool does, by one step of one holder, or of the housekeeper, at a time."""

    @initialize(
        limit=st.integers(1, 4),
        least=st.integers(0, 2),
        idle_timeout=st.sampled_from([None, 0, 10]),
        lifetime=st.sampled_from([None, 30]),
        reuse=st.sampled_from([None, 2]),
    )
    def start(
        self, limit: int, least: int, idle_timeout: float | None, lifetime: float | None, reuse: int | None
    ) -> None:
        options = PoolOptions(
            MAX_CONNS=limit,
            MIN_CONNS=min(least, limit),
            CONN_IDLE_TIMEOUT=idle_timeout,
            CONN_MAX_LIFETIME=lifetime,
            REUSE_CONNS=reuse,
        )
        self.state = PoolState(options, lambda: None, lambda: self.now)
        self.state.server.fleet.is_readable = False
        self.upkeep = Upkeep(self.state)

    # Steps of holders

    @precondition(lambda self: not self.state.closed)
    @rule(again=st.booleans(), at_once=st.booleans(), patience=st.sampled_from([None, 3.0, 3.0, 30.0]), pick=PICK)
    def ask(self, again: bool, at_once: bool, patience: float | None, pick: int) -> None:
        """Let a newcomer ask, or a holder that has a connection ask for another."""
        owners = [request.holder for request in self.lent.values()]
        holder = owners[pick % len(owners)] if again and owners else Holder("somebody", None)
        request = Request(holder, None, None)
        request.timeout = patience
        request.deadline = None if patience is None else self.now + patience
        self.state.ask(request)
        slot = request.held
        if slot is None:
            self.queue.append(request)
        else:
            assert not self.queue, "a newcomer has overtaken those who wait"
            self.receive(slot, request)
            if at_once and slot in self.connecting:
                self.open(slot)

    @precondition(lambda self: self.answered)
    @rule(pick=PICK, interrupted=st.booleans())
    def wake(self, pick: int, interrupted: bool) -> None:
        """Let a waiter that was answered run again, or be killed before it does."""
        request = self.answered.pop(pick % len(self.answered))
        if interrupted:
            self.withdraw(request)
        elif request.held is not None:
            self.receive(request.held, request)
        else:
            assert request.error is not None

    @precondition(lambda self: self.queue)
    @rule(pick=PICK)
    def interrupt_waiter(self, pick: int) -> None:
        """Kill a waiter, or let its time be over."""
        self.withdraw(self.queue.pop(pick % len(self.queue)))

    @precondition(lambda self: self.connecting)
    @rule(pick=PICK, outcome=st.sampled_from(["open", "open", "fails", "fails late", "full"]))
    def end_connect(self, pick: int, outcome: str) -> None:
        slot = list(self.connecting)[pick % len(self.connecting)]
        if outcome == "open":
            self.open(slot)
            return
        request = self.connecting.pop(slot)
        if outcome != "fails":
            slot.connection = Connection()
        if outcome != "full" or request is None:
            self.evict(slot)
            return
        if not self.state.closed and not request.has_expired(self.now):
            self.queue.append(request)
            self.queue.sort(key=lambda waiter: waiter.ticket)
        with self.dispatching():
            to_close = self.state.requeue(request, RuntimeError("full"))
        if to_close is not None:
            self.closing.append(to_close)

    @precondition(lambda self: self.lent)
    @rule(pick=PICK, fit=st.sampled_from([True, True, False]), dead=st.sampled_from([False, False, True]))
    def come_back(self, pick: int, fit: bool, dead: bool) -> None:
        slot = list(self.lent)[pick % len(self.lent)]
        del self.lent[slot]
        if dead:
            slot.connection.dead = True
        self.give_back(slot, fit)

    @precondition(lambda self: self.lent)
    @rule(pick=PICK, is_full=st.booleans())
    def come_back_when_others_may_wait(self, pick: int, is_full: bool) -> None:
        """Give a connection back; if a yield is due, it is closed for other processes."""
        slot = list(self.lent)[pick % len(self.lent)]
        size = len(self.state.by_connection)
        if self.queue and self.state.server.begin_probe_if_due(size):
            assert size > 1
            if is_full:
                self.state.server.record_yield(size - 1)
                del self.lent[slot]
                self.evict(slot)

    @precondition(lambda self: self.lent)
    @rule(pick=PICK)
    def reassign(self, pick: int) -> None:
        slot = list(self.lent)[pick % len(self.lent)]
        request = self.lent[slot]
        shared = Holder("several threads", None)
        before = request.holder
        self.state.reassign(request, shared)
        # From now on the slot has nothing to do with its first holder.
        assert slot not in before.slots

    @precondition(lambda self: self.lent)
    @rule(pick=PICK)
    def holder_ends(self, pick: int) -> None:
        """Let a holder end without giving back; its other requests are dropped."""
        holder = list(self.lent.values())[pick % len(self.lent)].holder
        if any(
            request.holder is holder for request in (*self.queue, *self.answered, *self.connecting.values()) if request
        ):
            return  # The holder is alive.
        holder.record_end()
        self.gone.append(holder)
        for slot in [slot for slot, request in self.lent.items() if request.holder is holder]:
            del self.lent[slot]

    # Steps of the pool

    @precondition(lambda self: self.closing)
    @rule(pick=PICK)
    def end_close(self, pick: int) -> None:
        slot = self.closing.pop(pick % len(self.closing))
        with self.dispatching():
            self.state.slot_closed(slot)

    @precondition(lambda self: self.steps % 3 == 0)
    @rule(seconds=st.sampled_from([0.01, 1.0, 5.0, 20.0, 60.0]))
    def let_time_go_by(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.steps % 3 == 1 or self.state.closed)
    @rule()
    def keep_house(self) -> None:
        """Let the housekeeper look, in time or later."""
        with self.dispatching():
            for slot in self.upkeep.abandoned():
                self.evict(slot)
            evicted, renewed = self.upkeep.evict_outdated(self.now)
            self.state.dispatch()
        late = [request for request in self.queue if request.has_expired(self.now)]
        self.state.expire(self.now)
        for request in late:
            self.queue.remove(request)
        assert not [request for request in self.queue if request.deadline is not None and request.deadline <= self.now]
        for slot in evicted:
            assert slot.state is State.CLOSING
            self.closing.append(slot)
        for slot in renewed:
            assert self.state.begin_to_renew(slot) is not None
            assert self.state.begin_to_renew(slot) is None
            self.state.record_replacing(slot, "lifetime")
            self.connecting[slot] = None
        self.looked_at = self.now
        assert self.upkeep.next_wake(self.now) > self.now, "the housekeeper would never rest"

    @precondition(lambda self: self.steps % 5 == 0)
    @rule(limit=st.integers(1, 5))
    def resize(self, limit: int) -> None:
        if limit < self.state.options.MIN_CONNS:
            return
        with self.dispatching():
            self.closing += self.state.resize(
                dataclasses.replace(self.state.options, MAX_CONNS=limit, REUSE_CONNS=None)
            )

    @precondition(lambda self: not self.state.closed and self.steps > 25)
    @rule()
    def close(self) -> None:
        self.closing += self.state.close(lambda: RuntimeError("closed"))
        assert all(request.error is not None for request in self.queue)
        self.answered += self.queue
        self.queue = []

    # Parts of steps

    def receive(self, slot: Slot, request: Request) -> None:
        """Let a holder receive a slot: with a connection, which may be dead, or without."""
        request.is_received = True
        assert slot.holder is request.holder
        if slot.connection is not None and getattr(slot.connection, "dead", False):
            self.state.record_replacing(slot, "broken")
        if slot.connection is None:
            self.connecting[slot] = request
        else:
            self.lent[slot] = request

    def open(self, slot: Slot) -> None:
        connection = Connection()
        slot.connection = connection
        with self.dispatching():
            self.state.record_opened(slot, connection, 0.1)
        request = self.connecting.pop(slot)
        if request is None:
            self.give_back(slot)
        else:
            self.lent[slot] = request

    def withdraw(self, request: Request) -> None:
        with self.dispatching():
            to_close = self.state.withdraw(request)
            if to_close is not None:
                self.closing.append(to_close)

    def give_back(self, slot: Slot, fit: bool = True) -> None:
        with self.dispatching():
            assert slot.request is not None
            if self.state.take_back(slot, slot.request, None if fit else "broken"):
                self.closing.append(slot)

    def evict(self, slot: Slot) -> None:
        with self.dispatching():
            if self.state.evict(slot, "broken"):
                self.closing.append(slot)

    def dispatching(self) -> Any:
        """Check after the step that the answered requests were the first of the queue."""
        return _Dispatching(self)


class _Dispatching:
    def __init__(self, machine: StateMachine) -> None:
        self.machine = machine

    def __enter__(self) -> None:
        self.before = list(self.machine.queue)

    def __exit__(self, *_error: object) -> None:
        left = list(self.machine.state.waiting)
        served = [request for request in self.machine.queue if request not in self.machine.state.waiting]
        served = [request for request in served if request in self.before]
        assert served == [request for request in self.before if request in self.machine.queue][: len(served)], (
            "overtaken"
        )
        assert all(request.held is not None for request in served)
        self.machine.answered += served
        self.machine.queue = left


TestState = StateMachine.TestCase
TestState.settings = settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=600,
    stateful_step_count=60,
    suppress_health_check=list(HealthCheck),
    # Phase.shrink would make a failing example short, but takes minutes.
    phases=[Phase.generate],
)
