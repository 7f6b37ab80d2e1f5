"""Reading the server's session list now and then, over connections that no holder has at the moment."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from .driver import Driver
from .fleet.census import Census
from .fleet.policy import IDLE_GRACE
from .fleet.standing import Own
from .lock import Lock, ReentryError
from .slot import State
from .state import PoolState

logger = logging.getLogger("geventpool.pool")


def own_numbers(state: PoolState, is_here: Callable[[Any], bool] = lambda _connection: True) -> Own:
    """Return what a pool tells others of itself, and compares with the list.

    :param is_here: whether a connection is to the server that is told; others don't count.
    """
    now = time.monotonic()
    recently = now - IDLE_GRACE
    size = busy = opened = elsewhere = 0
    for slot in state.slots:
        is_open = slot.state in (State.IDLE, State.IN_USE)
        if is_open and not is_here(slot.connection):
            elsewhere += 1
            continue
        opened += is_open
        if slot.state is State.CLOSING or slot.is_stalled(now):
            continue
        size += 1
        is_lent = slot.request is not None and slot.request is not state.renewal_request
        busy += is_lent or (slot.state is State.IDLE and slot.since > recently)
    return Own(
        limit=max(1, state.limit - elsewhere),
        size=size,
        slots=len(state.slots) + state.count_predecessors() - elsewhere,
        opened=opened,
        busy=busy,
        waiting=len(state.waiting),
        held_for=state.server.held_for,
        elsewhere=elsewhere,
    )


class Lookout:
    """The reading of the list, when it is due.

    :param wake_by: makes the housekeeper look by a time (monotonic seconds).
    """

    def __init__(self, driver: Driver, lock: Lock, state: PoolState, wake_by: Callable[[float], object]) -> None:
        self._driver = driver
        self._lock = lock
        self._state = state
        self._wake_by = wake_by

    def look_if_due(self, connection: Any) -> bool:
        """Read the list over a clean connection if that is due; return whether it is to be closed for others.

        :raises Exception: the driver's, if the connection is lost.
        """
        state = self._state
        if state.closed or not state.server.may_look(
            len(state.slots), bool(state.waiting), state.limit, is_lacking=self._is_lacking()
        ):
            return False
        try:
            badge, is_probe = self._lock.run(self._begin, connection)
            if badge is None:
                return False
            census = self._driver.look(connection, badge)
            return census is not None and self._lock.run(self._record, connection, census, is_probe)
        except ReentryError:
            return False  # In a finalizer, in the middle of the pool's own work: another time.

    def _is_lacking(self) -> bool:
        """Return whether somebody may lack a connection: here, or outside, as this pool has all that there are."""
        state = self._state
        size = len(state.by_connection)
        return bool(state.waiting) or (size > state.options.MIN_CONNS and state.server.fleet.has_all(size))

    def _own(self, connection: Any) -> Own:
        """Return the pool's numbers at the server of a connection: there may be several, behind one name or given."""
        server_of = self._driver.server_of
        server = server_of(connection)
        return own_numbers(self._state, lambda other: server_of(other) == server)

    def _begin(self, connection: Any) -> tuple[str | None, bool]:
        """Return the badge to wear from now on, None if no look is due, and whether to yield if the server is full."""
        state, fleet = self._state, self._state.server.fleet
        own = self._own(connection)
        is_probe = self._is_lacking() and state.server.begin_probe_if_due(len(state.by_connection))
        return (fleet.begin_look(own) if is_probe else fleet.begin_look_if_due(own)), is_probe

    def _record(self, connection: Any, census: Census, is_probe: bool) -> bool:
        state = self._state
        state.server.fleet.record(census, self._own(connection))
        if is_probe and census.is_full and self._is_lacking():
            state.server.record_yield(len(state.by_connection) - 1)
            return True
        state.dispatch()  # There may be room now.
        if state.waiting:
            self._wake_by(state.server.fleet.grow_at())
        return False
