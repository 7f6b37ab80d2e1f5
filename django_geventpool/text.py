"""Texts of others (names of tasks, threads, requests) in our messages."""

from __future__ import annotations

#: How many characters of a text are shown.
_LENGTH = 200


def printable(text: str, length: int = _LENGTH) -> str:
    r"""Return a text as it may stand in a line of a log or on a terminal.

    Line breaks, control characters and whatever else can't be seen are written as in Python's strings (``\n``), so that
    nobody ends a line with them, or tells a terminal what to do. Of a long text only the beginning is left.
    """
    if len(text) > length:
        text = f"{text[: length - 1]}…"
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def show(value: object, length: int = 80) -> str:
    """Return a value as Python writes it, cut to a length, for a message that refuses it."""
    try:
        return printable(repr(value), length)
    except (ValueError, RecursionError):  # It is a number of thousands of digits, or nested too deep.
        return f"<{type(value).__name__}>"
