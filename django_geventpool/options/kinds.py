"""The kinds of options: what values they take."""

from __future__ import annotations

import math
import re
import sys
from dataclasses import dataclass
from typing import Any, Protocol

#: The most that PostgreSQL's max_connections can be.
_MOST_CONNECTIONS = 262_143


_WORDS = {"None": None, "True": True, "False": False}


def from_text(value: object) -> Any:
    """Return what a text stands for that is a number, None, True or False; any other value as it is.

    Libraries that read settings from URLs leave some of these as text, and no option takes such a text as its value.
    """
    if not isinstance(value, str):
        return value
    if re.fullmatch(r"[0-9]{1,9}", value):
        return int(value)
    return float(value) if re.fullmatch(r"[0-9]{1,9}\.[0-9]{1,9}", value) else _WORDS.get(value, value)


class Kind(Protocol):
    """What values an option takes."""

    def instead_of(self, value: object) -> str | None:
        """Return what the option must be instead of a value, in words; None for a value that it takes."""


@dataclass(frozen=True)
class Count:
    """A number of connections.

    :param none: what None means; unless this is given, None is refused.
    """

    least: int = 0
    none: str | None = None

    def instead_of(self, value: object) -> str | None:
        if value is None and self.none is not None:
            return None
        # bool is a kind of int, but True is no count.
        if not isinstance(value, int) or isinstance(value, bool) or value < self.least:
            return f"a whole number of at least {self.least}"
        if value > _MOST_CONNECTIONS:
            return f"at most {_MOST_CONNECTIONS}, as no server has more connections"
        return None


@dataclass(frozen=True)
class Seconds:
    """A time in seconds, or None for no limit.

    :param zero: what 0 does; unless this is given, 0 is refused.
    """

    zero: str | None = None

    def instead_of(self, value: object) -> str | None:
        if value is None or (_is_time(value) and (value != 0 or self.zero is not None)):
            return None
        return f"a number of seconds (0 {self.zero}) or None" if self.zero else "a number of seconds above 0, or None"


def _is_time(value: object) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    # Compared, not converted: a whole number may be too large for a float.
    return 0 <= value <= sys.float_info.max or value == math.inf


@dataclass(frozen=True)
class Choice:
    """One of a few words, or True or False where these are among them."""

    words: tuple[str | bool, ...]

    def instead_of(self, value: object) -> str | None:
        # 1 is equal to True, but isn't meant.
        if any(type(value) is type(word) and value == word for word in self.words):
            return None
        *others, last = (f'"{word}"' if isinstance(word, str) else str(word) for word in self.words)
        return f"{', '.join(others)} or {last}"
