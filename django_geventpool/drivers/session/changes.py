"""What SQL may change in its session that the pool puts back without DISCARD ALL, told from its text."""

from __future__ import annotations

import re

#: The role, or the session authorization, may be another one.
IDENTITY = 1
#: The characteristics of future transactions may be others.
CHARACTERISTICS = 2
#: Cursors may be open that outlive their transaction.
CURSORS = 4
#: Whatever statements may change that aren't seen.
ANY = IDENTITY | CHARACTERISTICS

#: Texts up to this length (bytes) may begin their commands after comments.
_SHORT = 4096

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


def changes_of(statement: str | bytes) -> int:
    """Return what SQL may change that has to be put back: IDENTITY, CHARACTERISTICS, CURSORS, or several of them.

    The text is searched, not parsed: a false alarm costs a round trip. What functions do that it calls can't be seen;
    procedures are taken to change anything.
    """
    text = (statement.encode("utf-8", "replace") if isinstance(statement, str) else statement).lower()
    changes = 0
    if b"set_config" in text:
        for name in _CONFIGURED.findall(text):
            changes |= _named_in(name) if name else ANY
    if b"pg_settings" in text and b"update" in text:
        changes |= ANY
    pattern = _LATER_COMMAND if len(text) <= _SHORT else _LATER_COMMAND_OF_LONG
    commands = pattern.findall(text)
    if first := _FIRST_COMMAND.match(text):
        commands.append(first[1])
    for command in set(commands):
        changes |= _changes_by(command, text)
    return changes


def _changes_by(command: bytes, text: bytes) -> int:
    if command in (b"call", b"execute"):
        return ANY
    if command == b"declare":
        return CURSORS if b"hold" in text else 0
    if command == b"discard":
        return IDENTITY if b"all" in text else 0
    return _named_in(text)


def _named_in(text: bytes) -> int:
    return sum(change for change, words in _WORDS.items() if words.search(text))
