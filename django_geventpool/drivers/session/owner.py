"""Who has a session, and for how long it needs what statements leave there."""

from __future__ import annotations

import enum
from collections.abc import Collection
from typing import Protocol

from ...pool.counters import StateKind


class Scope(enum.Enum):
    """For how long session state is needed."""

    #: Until it is undone, or the holder gives the connection back for good.
    KEPT = "kept"
    #: Only for now: the holder says itself how long.
    PASSING = "passing"
    #: It is of the session's setting up, and comes again with each session that this visitor meets.
    SET_UP = "set up"


class SessionOwner(Protocol):
    """Who has a session, and says what becomes of its state."""

    def scope_of_state(self, kinds: Collection[StateKind], *, is_sent: bool) -> Scope:
        """Decide on state that a statement is about to make; return for how long it is needed.

        :param is_sent: whether the statement is on its way already.
        :raises SessionStateError: if it is not allowed, and wasn't sent.
        """

    def who(self) -> str:
        """Return the name of the holder, as it is shown."""

    def has_session(self, session: object) -> bool:
        """Return whether it still has a session; the server may be asked about locks."""
