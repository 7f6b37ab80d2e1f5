"""What SQL may do to its session, all in all; texts are remembered, as most are executed again and again."""

from __future__ import annotations

import functools
from typing import NamedTuple

from .changes import changes_of
from .statements import Operation, operations_of

#: The longest text that is remembered, in characters or bytes.
LONGEST_REMEMBERED = 4096
_REMEMBERED = 1024


class Effects(NamedTuple):
    """What a text may do to its session."""

    changes: int
    operations: tuple[Operation, ...]


def effects_of(statement: str | bytes) -> Effects | None:
    """Return what SQL may do to its session; None for nothing, as most does."""
    text = statement if isinstance(statement, str) else statement.decode("utf-8", "replace")
    effects = Effects(changes_of(statement), operations_of(text))
    return effects if effects.changes or effects.operations else None


remembered_effects_of = functools.lru_cache(_REMEMBERED)(effects_of)
