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

Left for the next holder: every other ``SET``, ``LISTEN``, advisory locks of the session, temporary tables, ``PREPARE``
and sequences' ``currval``. ON_RELEASE_DISCARD_ALL clears these with ``DISCARD ALL``, and configures the session again.

Whether the server has something to put back is told from the text of what goes through cursors, and from what the
server reports unasked, so that it costs no round trip where nothing was changed.
"""

from __future__ import annotations

import functools
import re

#: The role, or the session authorization, may be another one.
IDENTITY = 1
#: The characteristics of future transactions may be others.
CHARACTERISTICS = 2
#: Cursors may be open that outlive their transaction.
CURSORS = 4

#: The client encoding is another one, which each driver knows in its own way.
ENCODING = 8

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
}

#: Texts up to this length (characters) are remembered with what they change, as most are executed again and again.
_LONGEST_REMEMBERED = 4096
_REMEMBERED = 1024

#: Whitespace, comments and opening parentheses; without the comments for long texts, whose data may look like many.
_GAP = rb"(?:[\s(]|/\*(?:[^*]|\*(?!/))*\*/|--[^\n]*(?:\n|\Z))"
_SHORT_GAP = rb"[\s(]"
#: A command that may change the session.
_COMMAND = rb"set(?!%b+(?:local|transaction|constraints)\b)|reset|discard|do|call|execute|declare"
_FIRST_COMMAND = re.compile(rb"%b*(%b)\b" % (_GAP, _COMMAND % _GAP))
#: The same after the end of another command, even if that is in a string.
_LATER_COMMAND = re.compile(rb";%b*(%b)\b" % (_GAP, _COMMAND % _GAP))
_LATER_COMMAND_OF_LONG = re.compile(rb";%b*((?:%b)\b|/\*|--)" % (_SHORT_GAP, _COMMAND % _SHORT_GAP))
#: The name of a setting that set_config is called with; empty if it isn't in the text.
_CONFIGURED = re.compile(rb"set_config\"?\s*(?:\(\s*'([^']*)')?")
#: Words that say what is changed. A name may also be written with escapes.
_WORDS = {
    IDENTITY: re.compile(rb"(?<![\w.$])(?:role|authorization|session_authorization)\b|u&[\"']"),
    CHARACTERISTICS: re.compile(rb"\bcharacteristics\b|default_transaction_|u&[\"']"),
}
_ANY = IDENTITY | CHARACTERISTICS


class SessionState:
    """What the present holder may have changed in a connection's session on the server."""

    __slots__ = ("changes",)

    def __init__(self) -> None:
        #: IDENTITY, CHARACTERISTICS and CURSORS, as far as they apply.
        self.changes = 0

    def note(self, statement: str | bytes) -> None:
        """Record what a statement, or several, may change that is about to be executed."""
        if len(statement) > _LONGEST_REMEMBERED:
            self.changes |= changes_of(statement)
        elif changes := _remembered_changes_of(statement):
            self.changes |= changes

    def note_unknown(self) -> None:
        """Record that statements are executed whose text is not seen."""
        self.changes |= _ANY


def reset_statement(changes: int) -> str:
    """Return the SQL that puts the changes back, some statements in one string; empty for none."""
    return "; ".join(sql for change, sql in _RESETS.items() if changes & change)


def changes_of(statement: str | bytes) -> int:
    """Return which of the changes that have to be put back SQL may make: IDENTITY, CHARACTERISTICS, CURSORS.

    The text is searched, not parsed: a false alarm costs a round trip. What the functions do that it calls can't be
    seen; procedures are taken to change anything.
    """
    text = (statement.encode("utf-8", "replace") if isinstance(statement, str) else statement).lower()
    changes = 0
    if b"set_config" in text:
        for name in _CONFIGURED.findall(text):
            changes |= _named_in(name) if name else _ANY
    if b"pg_settings" in text and b"update" in text:
        changes |= _ANY
    pattern = _LATER_COMMAND if len(text) <= _LONGEST_REMEMBERED else _LATER_COMMAND_OF_LONG
    commands = pattern.findall(text)
    if first := _FIRST_COMMAND.match(text):
        commands.append(first[1])
    for command in set(commands):
        changes |= _changes_by(command, text)
    return changes


def _changes_by(command: bytes, text: bytes) -> int:
    if command in (b"call", b"execute"):
        return _ANY
    if command == b"declare":
        return CURSORS if b"hold" in text else 0
    if command == b"discard":
        return IDENTITY if b"all" in text else 0
    return _named_in(text)


def _named_in(text: bytes) -> int:
    return sum(change for change, words in _WORDS.items() if words.search(text))


_remembered_changes_of = functools.lru_cache(_REMEMBERED)(changes_of)
