"""Who has left something in a session, and where in the code: recorded for tests only (``pytest_plugin``)."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple, Protocol

from ...pool import naming
from ...pool import stack as stacks
from ...pool.counters import StateKind
from .keys import LOCK, Key, without_undone
from .statements import Effect, Operation


class Trace(NamedTuple):
    """A statement that has made a piece of session state."""

    kind: StateKind
    #: The task, or else the greenlet or thread, without what differs from run to run.
    who: str
    #: The user's line that has executed it, as ``file:line``.
    place: str


class Session(Protocol):
    """The state of a session, which compares by identity."""

    def who(self) -> str:
        """Return the name of the present holder."""

    def is_lent(self) -> bool:
        """Return whether the session may still have what was made; the server may be asked about locks."""


class Recorder:
    """Records what statements leave in the sessions of this process, of whichever greenlet or thread.

    What a statement makes counts once it has succeeded, and what one undoes counts as undone even if its transaction is
    rolled back: tests roll back what their code would commit.
    """

    def __init__(self) -> None:
        #: By session, what the statement under way makes.
        self._begun: dict[Session, Collection[Key]] = {}
        #: By session, what is there now.
        self._made: dict[Session, dict[Key, Trace]] = {}
        #: By session, what of that was made again by a later statement, which may have set it back.
        self._made_again: dict[Session, set[Key]] = {}
        #: By session, how many advisory locks were taken, or tried, and not released. The server doesn't tell them from
        #: those of the transaction, or of an earlier test.
        self._locks: Counter[Session] = Counter()
        #: What was there when the connection went back; a dictionary for its order.
        self._left: dict[Trace, None] = {}

    def begin(self, session: Session, keys: Collection[Key]) -> None:
        """Record what a statement makes, if it succeeds."""
        self._begun[session] = keys

    def confirm(self, session: Session, operations: Iterable[Operation], set_up: Collection[Key]) -> None:
        """Record that the statement has succeeded.

        :param set_up: what was set up in the session.
        """
        made = self._made.get(session, {})
        if keys := self._begun.pop(session, ()):
            who, place = naming.kind(session.who()), stacks.place()
            self._made_again.setdefault(session, set()).update(made.keys() & set(keys))
            made = {**{key: Trace(key[0], who, place) for key in keys}, **made}
        self._made[session] = without_undone(made, operations, set_up)
        self._count_locks(session, operations)

    def confirm_set_back(self, session: Session, keys: Collection[Key]) -> None:
        """Record that these are as they were, if statements have set them back, and not only a rollback."""
        made = self._made.get(session, {})
        for key in self._made_again.get(session, set()).intersection(keys):
            made.pop(key, None)

    def _count_locks(self, session: Session, operations: Iterable[Operation]) -> None:
        if LOCK in self._made[session]:
            for effect, kind, _ in operations:
                if kind == "advisory_lock" and effect is not Effect.UNDO:
                    self._locks[session] += -1 if effect is Effect.RELEASE else 1
        if self._locks[session] <= 0 or LOCK not in self._made[session]:
            self.forget_locks(session)

    def forget_locks(self, session: Session) -> None:
        """Record that the session has no advisory locks, or none of those that were recorded."""
        self._made.get(session, {}).pop(LOCK, None)
        self._locks.pop(session, None)

    def end_loan(self, session: Session) -> None:
        """Record that the connection goes back, with what was made and not undone."""
        self._left.update(dict.fromkeys(self._made.get(session, {}).values()))
        self.forget(session)

    def forget(self, session: Session) -> None:
        """Record that the session is as good as ended."""
        self._made.pop(session, None)
        self._made_again.pop(session, None)
        self._locks.pop(session, None)

    def traces(self) -> list[Trace]:
        """Return what was left in sessions until now, or is in one that is still lent."""
        there: list[Trace] = []
        for session in list(self._made):
            if session.is_lent():
                there += self._made.get(session, {}).values()
        # Now, as others may have given theirs back meanwhile.
        return list(dict.fromkeys([*there, *self._left]))


#: Who is told, while somebody is.
recorder: Recorder | None = None


@contextlib.contextmanager
def recording() -> Iterator[Recorder]:
    """Record what is left in sessions during the block."""
    global recorder
    before, recorder = recorder, Recorder()
    try:
        yield recorder
    finally:
        recorder = before
