"""The numbers of one moment, made of the pool's state; under its lock, unless said otherwise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from .driver import Driver
from .slot import Request, Slot, State
from .state import PoolState
from .stats import HeldConnection, PoolStats
from .use_by_task import TaskUse


def snapshot(state: PoolState) -> PoolStats:
    """Return the numbers of this moment."""
    now = state.clock()
    held = _held(state)
    longest = min(held, key=lambda slot: slot.since, default=None)
    states = Counter(slot.state.name.lower() for slot in state.slots)
    return PoolStats.of(
        state.counters,
        lent=sum(slot.was_lent_open or slot.state is State.IN_USE for slot in held),
        limit=state.limit,
        size=len(state.slots),
        **{name: states.get(name, 0) for name in ("in_use", "idle", "connecting", "closing")},
        waiting=len(state.waiting),
        longest_wait=now - (state.waiting_since() or now),
        use_time=state.uses.use_time(),
        wait_time=state.uses.wait_time(),
        longest_holder=None if longest is None else longest.who(),
        longest_held=0.0 if longest is None else now - longest.since,
        **state.server.numbers(now),
    )


def use_by_task(state: PoolState) -> list[TaskUse]:
    """Return the use by task until this moment, those that held connections for longest first."""
    return state.uses.snapshot(_held(state), state.waiting, state.clock())


def held_connections(in_use: Iterable[tuple[Slot, Request]], driver: Driver, now: float) -> list[HeldConnection]:
    """Return who holds connections, the longest holder first; the driver is asked without the lock.

    :param now: monotonic seconds.
    """
    held = [(slot.connection, slot.who(), request.label, now - slot.since) for slot, request in in_use]
    held.sort(key=lambda entry: entry[3], reverse=True)
    return [HeldConnection(who, label, seconds, driver.state(connection)) for connection, who, label, seconds in held]


def _held(state: PoolState) -> list[Slot]:
    return [slot for slot in state.slots if slot.request not in (None, state.renewal_request)]
