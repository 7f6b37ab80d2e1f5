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
        self.before: tuple[Predecessors, ...] = ()
        #: The pool that replaces this one: woken when a connection is gone.
        self.successor: Predecessors | None = None
        state.on_slot_closed = wake

    def succeed(self, predecessor: Predecessors) -> None:
        """Replace a pool that is closed, and the pools before it; called before this one lends.

        If that is interrupted, another pool can replace the same one.
        """
        earlier = predecessor.before
        self.state.count_predecessors = self.count_slots
        self.before = (*earlier, predecessor)
        self.state.server.fleet.succeed(predecessor.state.server.fleet)
        for each in self.before:
            each.successor = self
        for each in earlier:
            each.before = ()  # Nobody will replace these any more: the chain ends here, else it would grow for ever.

    def count_slots(self) -> int:
        """Return how many connections of the pools before it the server may count, and forget the drained ones."""
        if not self.before:
            return 0
        self.before = tuple(predecessor for predecessor in self.before if not predecessor.is_drained)
        return sum(len(predecessor.state.slots) for predecessor in self.before)

    @property
    def is_drained(self) -> bool:
        """Whether the pool is closed, and all its connections are gone."""
        return self.state.closed and not self.state.slots

    def wake_successor(self) -> None:
        """Make the successor look whether it has room now."""
        if self.successor is not None:
            self.successor.wake()
