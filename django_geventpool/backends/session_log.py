"""What the log and the errors say of statements that leave something in the session; they never show them."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable

from django.db import DEFAULT_DB_ALIAS

from ..errors import SessionStateError
from ..pool import naming
from ..pool import stack as stacks
from ..pool.counters import StateKind
from ..pool.housekeeper import log_in_background

logger = logging.getLogger("geventpool.session")

#: How many warnings are remembered; then all are forgotten, and may come again.
_REMEMBERED = 1000
_warned: set[tuple[str, StateKind, str]] = set()

#: What each kind is, in the words of PostgreSQL.
_WORDS: dict[StateKind, str] = {
    "setting": "SET or set_config",
    "listen": "LISTEN",
    "advisory_lock": "an advisory lock of the session",
    "temporary_table": "a temporary table",
    "prepared_statement": "PREPARE",
    "cursor_with_hold": "a cursor WITH HOLD",
    "loaded_library": "LOAD",
}
#: What does the same, and leaves nothing.
_INSTEAD: dict[StateKind, str] = {
    "setting": "SET LOCAL, or set_config(..., true), inside atomic",
    "advisory_lock": "pg_advisory_xact_lock inside atomic",
    "temporary_table": "ON COMMIT DROP inside atomic",
}
#: What becomes of the connection, by whether it stays.
_OUTCOME = {
    True: "The connection stays with it until that is undone, or the task ends.",
    False: (
        'In POOL_MODE "transaction" its next statements may run in other sessions, without it; SESSION_STATE "pin" '
        "keeps the connection."
    ),
}


def describe(kind: StateKind) -> str:
    """Return what a kind is, in words, and its name."""
    return f"{_WORDS[kind]} ({kind})"


def ways_out(kinds: Iterable[StateKind], alias: str = DEFAULT_DB_ALIAS) -> list[str]:
    """Return what code can do instead."""
    pinned = "with django_geventpool.utils.pinned({}):".format("" if alias == DEFAULT_DB_ALIAS else f'"{alias}"')
    return [*(_INSTEAD[kind] for kind in kinds if kind in _INSTEAD), f'"{pinned}" around what needs it']


def refusal(alias: str, kinds: Collection[StateKind]) -> SessionStateError:
    """Return the error for a statement that is not sent, with the ways out."""
    what = ", ".join(map(describe, kinds))
    ways = [*ways_out(kinds, alias), 'another SESSION_STATE ("pin", "warn" or "ignore")']
    return SessionStateError(
        f'SESSION_STATE "raise" of DATABASES["{alias}"]: a statement was not sent, as it would leave something in the '
        f"session of the server: {what}. Ways out: {'; '.join(ways)}."
    )


def warn_once(alias: str, who: str, kinds: Collection[StateKind], *, stays: bool) -> None:
    """Log, once for each kind and task, that a statement leaves something in the session.

    :param who: the holder's name.
    :param stays: whether the connection stays with it for that.
    """
    name = naming.kind_key(who)
    new = [kind for kind in kinds if (alias, kind, name) not in _warned]
    if not new:
        return
    if len(_warned) >= _REMEMBERED:
        _warned.clear()
    _warned.update((alias, kind, name) for kind in new)
    log_in_background(
        logger.warning,
        'Pool "%s": %s leaves something in the session of the server: %s, at %s. %s',
        alias,
        naming.kind(who),
        ", ".join(map(describe, new)),
        stacks.place(),
        _OUTCOME[stays],
    )
