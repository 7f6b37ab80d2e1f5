"""Pieces of session state, and which of them operations undo."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TypeVar

from ...pool.counters import StateKind
from .statements import NOT_RESET_WITH_ALL, Effect, Operation

T = TypeVar("T")

#: A kind of session state, and the name; None for a name that isn't known.
Key = tuple[StateKind, str | None]
#: All advisory locks, as their keys are not told apart.
LOCK: Key = ("advisory_lock", None)
#: Each checkout sets it, if it is another one.
TIME_ZONE: Key = ("setting", "timezone")
#: The kinds of which a statement that fails leaves nothing.
TRANSACTIONAL: tuple[StateKind, ...] = ("setting", "listen", "temporary_table", "cursor_with_hold")

#: What is put back without DISCARD ALL, besides cursors.
_PUT_BACK = {
    ("setting", name)
    for name in (
        "role",
        "session_authorization",
        "session characteristics",
        "default_transaction_isolation",
        "default_transaction_read_only",
        "default_transaction_deferrable",
        "timezone",
    )
}


def is_meant(key: Key, kind: StateKind | None, name: str | None) -> bool:
    """Return whether a key is of what an operation names: a kind, or all; a name, or all of the kind."""
    if kind is None:
        return key[0] != "loaded_library"  # DISCARD ALL.
    if key[0] != kind:
        return False
    return key[1] not in NOT_RESET_WITH_ALL if name is None else key[1] == name


def without_undone(made: Mapping[Key, T], operations: Iterable[Operation], set_up: Collection[Key]) -> dict[Key, T]:
    """Return what is left of what was made, after operations that may undo some of it, or make it again.

    :param set_up: what was set up in the session: to undo that is a change, too.
    """
    left = dict(made)
    for effect, kind, name in operations:
        if effect is Effect.UNDO:
            left = {key: value for key, value in left.items() if key in set_up or not is_meant(key, kind, name)}
        elif effect is Effect.DO and kind is not None and (kind, name) in made:
            left[kind, name] = made[kind, name]
    return left


def stays(key: Key) -> bool:
    """Return whether a piece of state stays for the next holder, unless DISCARD ALL or RESET clears it."""
    return key not in _PUT_BACK and key[0] != "cursor_with_hold"
