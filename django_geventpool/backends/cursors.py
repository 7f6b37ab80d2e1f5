"""Cursors that tell their wrapper when they are closed, so that it can give its connection back."""

from __future__ import annotations

import functools
from typing import Any, Protocol

from django.db.backends.postgresql.base import CursorDebugWrapper
from django.db.backends.utils import CursorWrapper


class CursorCount(Protocol):
    """How many cursors are open on one of a wrapper's connections."""

    cursors: int


class CursorOwner(Protocol):
    """A wrapper, which keeps its connection while one of its cursors is open."""

    @property
    def use(self) -> CursorCount:
        """What counts its cursors, until ``close``; then another does."""

    def give_back_if_free(self) -> None:
        """Give the connection back if nothing needs it any more."""


class _Tracked:
    _owner: CursorOwner
    _counted_in: CursorCount | None = None

    def count_for(self, owner: CursorOwner) -> None:
        """Count as open for a wrapper, which is told of the end."""
        self._owner = owner
        self._counted_in = owner.use
        self._counted_in.cursors += 1

    def close(self) -> None:
        """Close the cursor; the last one to close lets go of the connection."""
        try:
            self._close()
        finally:
            self._uncount()
            self._owner.give_back_if_free()

    def _close(self) -> None:
        raise NotImplementedError

    def __del__(self) -> None:
        # It was never closed. The connection goes back at the next occasion, not here: this may run anywhere.
        if self._counted_in is not None:
            self._uncount()

    def _uncount(self) -> None:
        counted_in, self._counted_in = self._counted_in, None
        if counted_in is not None:
            counted_in.cursors -= 1


class TrackedCursor(_Tracked, CursorWrapper):
    """Django's usual cursor."""

    def __init__(self, cursor: Any, db: CursorOwner) -> None:
        super().__init__(cursor, db)
        self.count_for(db)

    def _close(self) -> None:
        self.cursor.close()


class TrackedDebugCursor(TrackedCursor, CursorDebugWrapper):
    """Django's cursor that logs queries."""


def track(cursor: Any, owner: CursorOwner) -> bool:
    """Make a cursor of another class tell of its end; False if that is impossible."""
    if isinstance(cursor, _Tracked):
        return True
    try:
        cursor.__class__ = _tracked(type(cursor))  # type: ignore[arg-type]
    except TypeError:
        return False  # Written in C, or with __slots__.
    cursor.count_for(owner)
    return True


@functools.cache
def _tracked(kind: type) -> type:
    def close(self: Any) -> None:
        # Most classes have none, but pass on what the driver's cursor has.
        inherited = getattr(kind, "close", None)
        self.cursor.close() if inherited is None else inherited(self)

    return type(kind.__name__, (_Tracked, kind), {"__module__": kind.__module__, "_close": close})
