"""Pools that take each other's place: what a closed one still has open counts for the one after it."""

from __future__ import annotations

from collections.abc import Callable

from .state import PoolState


class Predecessors:
    """The place of one pool among those of its alias.

    :param state: the pool's.
    :param wake: has the pool look again whether it has room. It may be called from anywhere.
    """

    def __init__(self, state: PoolState, wake: Callable[[], None]) -> None:
        self.state = state
        self.wake = wake
        #: Those whose place this one has taken, as long as they have connections.
        self._before: tuple[Predecessors, ...] = ()
        #: The one that has taken the place of this one.
        self._successor: Predecessors | None = None
        state.on_slot_closed = wake

    def succeed(self, predecessor: Predecessors) -> None:
        """Take the place of a pool that is closed, or about to be, and of those before it, before this one lends."""
        self.state.elsewhere = self.count_slots
        self._before = predecessor.lineage()
        for each in self._before:
            each.be_succeeded_by(self)

    def lineage(self) -> tuple[Predecessors, ...]:
        """Return those whose place this one has taken, and this one."""
        return (*self._before, self)

    def be_succeeded_by(self, successor: Predecessors) -> None:
        """Have another told when a connection of this one is gone, and count those of the ones before."""
        self._successor = successor
        self._before = ()

    @property
    def has_successor(self) -> bool:
        """Whether another has taken this one's place, which is to be closed then."""
        return self._successor is not None

    def count_slots(self) -> int:
        """How many connections of those before it the server may count; those that have none are forgotten."""
        if not self._before:
            return 0
        self._before = tuple(predecessor for predecessor in self._before if not predecessor.is_drained)
        return sum(len(predecessor.state.slots) for predecessor in self._before)

    @property
    def is_drained(self) -> bool:
        """Whether the pool is closed, and all its connections are gone."""
        return self.state.closed and not self.state.slots

    def wake_successor(self) -> None:
        """Have the one that took this one's place look whether it has room now."""
        if self._successor is not None:
            self._successor.wake()
