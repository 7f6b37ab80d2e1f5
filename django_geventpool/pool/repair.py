"""Putting the state in order after a change of it was interrupted."""

from __future__ import annotations

from collections import deque

from .slot import State
from .state import PoolState
from .waiters import Waiters


def repair(state: PoolState) -> None:
    """Put in order what an exception in the middle of a change has left.

    An unfinished change counts as not begun, or the connection is closed.
    """
    for slot in list(state.slots):
        if slot.request is None and slot.state in (State.IN_USE, State.CONNECTING):
            slot.reason = "broken"
            slot.state = State.CLOSING
        if slot.connection is None and slot.state in (State.IDLE, State.CLOSING):
            state.slots.discard(slot)
        if slot.state in (State.IDLE, State.CLOSING):
            slot.request = None
    known = {slot.connection: slot for slot in state.slots if slot.state in (State.IDLE, State.IN_USE)}
    state.counters.count("closed", "broken", len(state.by_connection.keys() - known.keys()))
    state.by_connection = known
    state.idle = deque(sorted((slot for slot in state.slots if slot.state is State.IDLE), key=lambda slot: slot.since))
    state.waiting = Waiters(sorted(state.waiting, key=lambda request: request.ticket))
    for request in list(state.waiting):
        if request.held is not None:
            state.hand_over(request)
            state.waiting.remove(request)
    state.dispatch()
