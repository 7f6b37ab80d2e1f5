"""Putting a room in order after a change of it was interrupted."""

from __future__ import annotations

from collections import deque

from .room import Room
from .slot import State
from .waiters import Waiters


def repair(room: Room) -> None:
    """Put in order what an exception in the middle of a change has left.

    What was not finished counts as not begun, or is closed.
    """
    for slot in list(room.slots):
        if slot.request is None and slot.state in (State.IN_USE, State.CONNECTING):
            slot.reason = "broken"
            slot.state = State.CLOSING
        if slot.connection is None and slot.state in (State.IDLE, State.CLOSING):
            room.slots.discard(slot)
        if slot.state in (State.IDLE, State.CLOSING):
            slot.request = None
    known = {slot.connection: slot for slot in room.slots if slot.state in (State.IDLE, State.IN_USE)}
    room.statistics.closed["broken"] += len(room.by_connection.keys() - known.keys())
    room.by_connection = known
    room.idle = deque(sorted((slot for slot in room.slots if slot.state is State.IDLE), key=lambda slot: slot.since))
    room.waiting = Waiters(sorted(room.waiting, key=lambda request: request.ticket))
    for request in list(room.waiting):
        if request.held is not None:
            room.hand_over(request)
            room.waiting.remove(request)
    room.dispatch()
