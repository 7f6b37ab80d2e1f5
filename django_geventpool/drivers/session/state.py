"""What a holder may have changed on a connection, and what becomes of that before the next holder: the one list.

It holds for both drivers and both modes. docs/what-a-holder-changes.md says the same in words for users.

Put back always, with a statement only where there is something to end or to put back:

- transactions, failed ones, those begun by hand, autocommit;
- the role and the session authorization: ``RESET``, and ``assume_role`` again (IDENTITY below);
- ``SET SESSION CHARACTERISTICS`` and ``default_transaction_*``: ``RESET`` (CHARACTERISTICS);
- cursors on the server that were not seen closed: ``CLOSE ALL`` (CURSORS);
- the time zone, at the next checkout, as the server reports each change of it (``set_up_session`` in
  ``backends/pooled.py``);
- on the driver's connection: isolation level, read-only, deferrable; factories of cursors and rows; typecasters and
  adapters; limits and handlers; notices and notifications that were received; and the cursors, with their settings;
- attributes that code gives the connection object, when another holder gets it.

Thrown away with the connection: another client encoding; psycopg2's ``set_session``; a two-phase transaction, a
pipeline, a COPY or a ``transaction()`` block that is not at its end; a query that somebody is still in the middle of.

Cleared by ``DISCARD ALL``, after which the session is configured again: every other ``SET``, ``LISTEN``, advisory locks
of the session, temporary tables and ``PREPARE``, unless they were undone. ON_RELEASE_DISCARD_ALL True clears each
session, also of sequences' ``currval`` and of what functions and ``DO`` have done; False leaves all of this for the
next holder. In mode "transaction", SESSION_STATE may keep the connection for the holder as long as there is any.

Whether the server has something to put back is told from the text of what goes through cursors (``changes``,
``statements``), and from what the server reports unasked, so that it costs no round trip where nothing was
changed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from ...pool.counters import StateKind
from . import traces
from .changes import ANY, CHARACTERISTICS, CURSORS, IDENTITY
from .effects import LONGEST_REMEMBERED, Effects, effects_of, remembered_effects_of
from .keys import LOCK, TIME_ZONE, TRANSACTIONAL, Key, is_meant, stays, without_undone
from .owner import Scope, SessionOwner
from .statements import Effect, Operation

#: The client encoding was changed.
ENCODING = 8
#: A setting was changed that stays for the next holder, unless DISCARD ALL or RESET clears it.
SETTING = 16
#: Statements were recorded that may have made or undone session state.
RECORDED = 32
#: The server has become a standby, or has refused to write.
SERVER = 64

#: What puts the first three back. Together they are one string, for one round trip.
_RESETS = {
    IDENTITY: "RESET SESSION AUTHORIZATION; RESET ROLE",
    CHARACTERISTICS: (
        "RESET default_transaction_isolation; RESET default_transaction_read_only; RESET default_transaction_deferrable"
    ),
    CURSORS: "CLOSE ALL",
}

#: The parameters that the server reports when they change, and what has changed then.
REPORTED = {
    "client_encoding": ENCODING,
    "is_superuser": IDENTITY,
    "default_transaction_read_only": CHARACTERISTICS,  # By PostgreSQL 14 and later.
    "session_authorization": IDENTITY,
    "search_path": SETTING,  # By PostgreSQL 18 and later.
    "in_hot_standby": SERVER,  # By PostgreSQL 14 and later.
}


_NONE: frozenset[StateKind] = frozenset()


class Noted(NamedTuple):
    """What is left to record of a statement, or several, once they have succeeded or failed."""

    #: For ``confirm``: what may undo something.
    operations: tuple[Operation, ...] = ()
    #: What isn't there if they failed.
    made: tuple[Key, ...] = ()


NOTHING = Noted()


class SessionState:
    """What holders have done to a connection's session on the server, as far as it may not be undone.

    What a statement makes is recorded before it is sent, and what one undoes after it has succeeded. So if anything is
    interrupted in between, the record has too much, never too little.
    """

    __slots__ = (
        "_asks",
        "_made",
        "_own",
        "_set_again",
        "changes",
        "counted",
        "ended",
        "has_more_set_up",
        "owner",
        "refuses",
        "set_up",
        "undone",
        "uses",
    )

    def __init__(self) -> None:
        #: How often the connection was used: it grows before anything is sent.
        self.uses = 0
        #: How many transactions were ended by the driver's methods, and with psycopg 3 savepoints rolled back; an
        #: executed COMMIT isn't seen.
        self.ended = 0
        #: IDENTITY, CHARACTERISTICS, CURSORS and RECORDED, as far as they apply.
        self.changes = 0
        #: Returns the present owner, None if it is gone; None while nobody has the session.
        self.owner: Callable[[], SessionOwner | None] | None = None
        #: Whether the owner refuses statements that make state, so that they must be shown to it before they are sent.
        self.refuses = False
        #: The kinds that were counted as reasons to keep the connection.
        self.counted: set[StateKind] = set()
        #: What was done to set the session up for the visitor that had it last.
        self.set_up: set[Key] = set()
        #: Whether more was set up since the server's reports were compared.
        self.has_more_set_up = False
        #: What the pool itself has set when it opened the connection.
        self._own: frozenset[Key] = frozenset()
        #: What the holder has made, each with whether the connection stays with the holder for it.
        self._made: dict[Key, bool] = {}
        #: What was undone in the open transaction, and not made again since; it counts once that is committed.
        self.undone: set[Key] = set()
        #: Whether only the server knows if there are advisory locks.
        self._asks = False
        #: What was made again, or rolled back: of settings only the server knows whether they are as they were.
        self._set_again: set[Key] = set()

    # While it is lent

    def note(self, statement: str | bytes, *, is_sent: bool = False) -> Noted:
        """Record what SQL may do that is about to be executed.

        :param is_sent: whether it was sent just now.
        :return: for ``confirm`` or ``note_failure``; NOTHING, which most do, needs no confirmation.
        :raises SessionStateError: if the owner refuses it.
        """
        effects = effects_of(statement) if len(statement) > LONGEST_REMEMBERED else remembered_effects_of(statement)
        return NOTHING if effects is None else self._record(effects, is_sent=is_sent)

    def check(self, statement: str | bytes) -> None:
        """Show a statement to the owner before it is sent.

        :raises SessionStateError: if the owner refuses it.
        """
        effects = effects_of(statement) if len(statement) > LONGEST_REMEMBERED else remembered_effects_of(statement)
        if effects is not None:
            self._scope_of(self._made_by(effects.operations), is_sent=False)

    def note_unknown(self) -> None:
        """Record that statements are executed whose text is not seen."""
        self.changes |= ANY

    def _record(self, effects: Effects, *, is_sent: bool) -> Noted:
        operations = effects.operations
        found = {operation.effect for operation in operations}
        made = self._made_by(operations)
        scope = self._scope_of(made, is_sent=is_sent)
        self.changes |= effects.changes | RECORDED
        self.undone.difference_update(made)
        is_left = Effect.COMMIT in found or effects.changes & ANY == ANY  # A CALL, too, may commit before it fails.
        new = () if is_left or scope is Scope.SET_UP else tuple(filter(self._is_new, made))
        for key in made:
            if scope is Scope.SET_UP:
                self.set_up.add(key)
                self.has_more_set_up = True
            else:
                self._set_again |= {key} & self._made.keys()
                self._made[key] = self._made.get(key, False) or scope is Scope.KEPT
        self._asks = self._asks or not found.isdisjoint((Effect.TRY, Effect.RELEASE))
        if Effect.ROLL_BACK in found:
            self.undone = set()
        if (recorder := traces.recorder) is not None:
            recorder.begin(self, made if scope is Scope.KEPT and self.owner is not None else ())
            return Noted(operations, new)
        undoing = () if found.isdisjoint((Effect.UNDO, Effect.COMMIT)) else operations
        return Noted(undoing, new) if undoing or new else NOTHING

    def _is_new(self, key: Key) -> bool:
        """Return whether a statement that makes this, and fails, leaves nothing of it."""
        return key not in self._made and key[0] in TRANSACTIONAL

    def _made_by(self, operations: tuple[Operation, ...]) -> list[Key]:
        """Return the state that operations may make; what was set up, and is undone by them, is changed, too."""
        made: list[Key] = []
        for effect, kind, name in operations:
            if effect is Effect.UNDO:
                given = (key for key in (*self._own, *self.set_up) if key != TIME_ZONE)
                made += (key for key in given if is_meant(key, kind, name))
            elif kind is not None and effect in (Effect.DO, Effect.TRY):
                made.append((kind, name))
            elif kind is not None and effect is Effect.RENAME and (kind, name) in (*self._made, *made):
                made.append((kind, None))  # The new name isn't told from others.
        return made

    def _scope_of(self, made: list[Key], *, is_sent: bool) -> Scope:
        owner = None if self.owner is None or not made else self.owner()
        kinds = dict.fromkeys(kind for kind, _ in made)
        return Scope.KEPT if owner is None else owner.scope_of_state(tuple(kinds), is_sent=is_sent)

    def confirm(self, noted: Noted, *, is_in_transaction: bool) -> None:
        """Record that what ``note`` has returned this for has succeeded.

        In a transaction, what was undone may come back, up to its commit.
        """
        self.trace(noted.operations)
        left = without_undone(self._made, noted.operations, self._own | self.set_up)
        undone = self._made.keys() - left.keys()
        if is_in_transaction:
            self.undone |= undone
            return
        self._drop(undone)
        if any(operation.effect is Effect.COMMIT for operation in noted.operations):
            self.confirm_commit()

    def trace(self, operations: tuple[Operation, ...]) -> None:
        """Record where in the code something was made that has succeeded, or counts so, if somebody wants to know."""
        if (recorder := traces.recorder) is not None:
            recorder.confirm(self, operations, self._own | self.set_up)

    def confirm_commit(self) -> None:
        """Record that the transaction was committed, with all that it has undone."""
        undone, self.undone = self.undone, set()
        self._drop(undone)

    def note_failure(self, noted: Noted = NOTHING) -> None:
        """Record that statements have failed, and so a transaction, if there is one.

        :param noted: what ``note`` has returned; NOTHING if some of them may have been executed.
        """
        self.note_rollback()
        if noted.made:
            self._drop(noted.made)

    def note_rollback(self) -> None:
        """Record that the transaction, or a part of it, was or will be rolled back: what it has undone may be back.

        A lock that was asked for may not have been taken.
        """
        self.undone = set()
        if LOCK in self._made:
            self._asks = True
        self._set_again.update(self._made)

    def _drop(self, keys: Collection[Key]) -> None:
        self._made = {key: pins for key, pins in self._made.items() if key not in keys}

    @property
    def kinds_kept(self) -> frozenset[StateKind]:
        """The kinds of state for which the connection has to stay with its holder."""
        # Nearly always there is none.
        return frozenset(kind for (kind, _), pins in self._made.items() if pins) if self._made else _NONE

    @property
    def has_passing(self) -> bool:
        """Whether the holder has made state that it needs for now only."""
        return not all(self._made.values())

    @property
    def may_have_lock(self) -> bool:
        """Whether the connection stays with its holder for advisory locks of which only the server knows."""
        return self._asks and self._made.get(LOCK, False)

    def record_locks(self, *, has_any: bool) -> None:
        """Record what the server says of its advisory locks."""
        self._asks = False
        if not has_any:
            self._made.pop(LOCK, None)
            if (recorder := traces.recorder) is not None:
                recorder.forget_locks(self)

    def who(self) -> str:
        """Return the name of the present holder."""
        owner = None if self.owner is None else self.owner()
        return "nobody" if owner is None else owner.who()

    def is_lent(self) -> bool:
        """Return whether its holder may still have it; True if its owner is gone, or is giving it back just now."""
        owner = None if self.owner is None else self.owner()
        return True if owner is None else owner.has_session(self)

    def settings_set_again(self) -> list[str]:
        """Return the settings that keep the connection, but may have been set back; not those that were set up."""
        keys = filter(stays, self._set_again - self.set_up - self._own)
        return [name for kind, name in keys if kind == "setting" and name and self._made.get((kind, name))]

    def record_set_back(self, names: Collection[str]) -> None:
        """Record what the server says: these of the settings that were set again are as they were."""
        self._set_again = set()
        keys: list[Key] = [("setting", name) for name in names]
        if (recorder := traces.recorder) is not None:
            recorder.confirm_set_back(self, keys)
        self._drop(keys)

    # Between two holders

    def is_dirty(self) -> bool:
        """Return whether the holder has made state that stays for the next one, unless it is cleared."""
        return any(map(stays, self._made))

    def has_lasting_set_up(self) -> bool:
        """Return whether the setting up has left state that stays for the next visitor, unless it is cleared."""
        return any(map(stays, self.set_up))

    def count_new(self, kinds: Iterable[StateKind]) -> list[StateKind]:
        """Record kinds as reasons to keep the connection; return those that weren't before."""
        new = [kind for kind in kinds if kind not in self.counted]
        self.changes |= RECORDED
        self.counted.update(new)
        return new

    def end_loan(self) -> None:
        """Begin again without what the holder has made: it was cleared, or is left to the next one."""
        if self.changes & RECORDED:
            self._made = {}
            self.undone, self._set_again = set(), set()
            self._asks = False
            self.counted = set()
        self.changes = 0

    def begin(self) -> None:
        """Begin with what the pool itself has set, as it has just opened the connection."""
        self._own = frozenset(self._made)
        self.begin_anew()

    def begin_anew(self) -> None:
        """Begin again as a session that nobody has set up, as it was just cleared."""
        self.set_up = set()
        self.end_loan()

    def settings_set_up(self) -> set[str] | None:
        """Return the names of the settings that the setting up has left; None if it has left anything else."""
        names = {name for kind, name in filter(stays, self.set_up) if kind == "setting" and name is not None}
        return names if len(names) == sum(map(stays, self.set_up)) else None


def reset_statement(changes: int) -> str:
    """Return the SQL that puts the changes back, some statements in one string; empty for none."""
    return "; ".join(sql for change, sql in _RESETS.items() if changes & change)


def reset_settings(names: Iterable[str]) -> str:
    """Return the SQL that resets settings, some statements in one string."""
    quoted = (".".join('"{}"'.format(part.replace('"', '""')) for part in name.split(".")) for name in sorted(names))
    return "; ".join(f"RESET {name}" for name in quoted)
