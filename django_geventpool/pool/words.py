"""Numbers in sentences."""

from __future__ import annotations


def count(number: int, one: str, many: str | None = None) -> str:
    """Write a number of things; ``many`` is what more or less than one are called, if not by an s at the end."""
    return f"{number} {one if number == 1 else many or one + 's'}"
