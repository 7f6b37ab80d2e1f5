"""Pools that replace each other: what a closed one still has open counts against its successor's limit."""

from __future__ import annotations

from collections.abc import Callable

from .state import PoolState


class Predecessors:
    """The place of one pool in the line of pools of its alias.

    :param state: the pool's.
    :param wake: makes the pool look again whether it has room. It may be called from anywhere.
    """

    def __init__(self, state: PoolState, wake: Callable[[], None]) -> None:
        self.state = state
        self.wake = wake
        #: The pools before this one, as long as they have connections.
        self._before: tuple[Predecessors, ...] = ()
        #: The pool that replaces this one.
        self._successor: Predecessors | None = None
        state.on_slot_closed = wake

    def succeed(self, predecessor: Predecessors) -> None:
        """Replace a pool that is closed, or about to be, and the pools before it; called before this one lends."""
        self.state.count_predecessors = self.count_slots
        self._before = predecessor.lineage()
        self.state.server.fleet.succeed(predecessor.state.server.fleet)
        for each in self._before:
            each.be_succeeded_by(self)

    def lineage(self) -> tuple[Predecessors, ...]:
        """Return the pools before this one, and this one."""
        return (*self._before, self)

    def be_succeeded_by(self, successor: Predecessors) -> None:
        """Wake a successor from now on when a connection is gone; it counts those of the pools before itself."""
        self._successor = successor
        self._before = ()

    @property
    def has_successor(self) -> bool:
        """Whether another pool replaces this one, which is to be closed then."""
        return self._successor is not None

    def count_slots(self) -> int:
        """Return how many connections of the pools before it the server may count, and forget the drained ones."""
        if not self._before:
            return 0
        self._before = tuple(predecessor for predecessor in self._before if not predecessor.is_drained)
        return sum(len(predecessor.state.slots) for predecessor in self._before)

    @property
    def is_drained(self) -> bool:
        """Whether the pool is closed, and all its connections are gone."""
        return self.state.closed and not self.state.slots

    def wake_successor(self) -> None:
        """Make the successor look whether it has room now."""
        if self._successor is not None:
            self._successor.wake()
