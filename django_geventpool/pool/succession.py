"""Pools that take each other's place: what a closed one still has open counts for the one after it."""

from __future__ import annotations

from collections.abc import Callable

from .state import PoolState


class Succession:
    """The place of one pool among those of its alias.

    :param state: the pool's.
    :param wake: has the pool look again whether it has room. It may be called from anywhere.
    """

    def __init__(self, state: PoolState, wake: Callable[[], None]) -> None:
        self.state = state
        self.wake = wake
        #: Those whose place this one has taken, as long as they have connections.
        self._elders: tuple[Succession, ...] = ()
        #: The one that has taken the place of this one.
        self._heir: Succession | None = None
        state.elsewhere = self.count_elders_slots
        state.vacated = wake

    def follow(self, elder: Succession) -> None:
        """Take the place of a pool that is closed, or about to be, and of those before it, before this one lends."""
        self._elders = elder.lineage()
        for each in self._elders:
            each.bequeath(self)

    def lineage(self) -> tuple[Succession, ...]:
        """Return those whose place this one has taken, and this one."""
        return (*self._elders, self)

    def bequeath(self, heir: Succession) -> None:
        """Have another told when a connection of this one is gone, and count those of the ones before."""
        self._heir = heir
        self._elders = ()

    @property
    def has_heir(self) -> bool:
        """Whether another has taken this one's place, which is to be closed then."""
        return self._heir is not None

    def count_elders_slots(self) -> int:
        """How many connections of those before it the server may count; those that have none are forgotten."""
        if not self._elders:
            return 0
        self._elders = tuple(elder for elder in self._elders if not elder.is_spent)
        return sum(len(elder.state.slots) for elder in self._elders)

    @property
    def is_spent(self) -> bool:
        """Whether the pool is closed, and all its connections are gone."""
        return self.state.closed and not self.state.slots

    def tell_heir(self) -> None:
        """Have the one that took this one's place look whether it has room now."""
        if self._heir is not None:
            self._heir.wake()
