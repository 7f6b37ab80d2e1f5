"""Cursors that tell their wrapper when they are closed, so that it knows when it needs its connection no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.backends.postgresql.base import CursorDebugWrapper
from django.db.backends.utils import CursorWrapper

if TYPE_CHECKING:
    from .occupancy import OccupancyMixin


class OpenCursors:
    """How many cursors are open on one of a wrapper's connections."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class _Tracked(CursorWrapper):
    db: OccupancyMixin
    _counted_in: OpenCursors | None = None

    def __init__(self, cursor: Any, db: OccupancyMixin) -> None:
        super().__init__(cursor, db)
        self._counted_in = db.open_cursors
        self._counted_in.count += 1

    def close(self) -> None:
        """Close the cursor; the last one to close lets go of the connection."""
        try:
            self.cursor.close()
        finally:
            self._uncount()
            self.db.release_if_free()

    def __del__(self) -> None:
        # Never closed: the connection goes back with the next occasion. Here it can't: this may run anywhere.
        self._uncount()

    def _uncount(self) -> None:
        counted_in, self._counted_in = self._counted_in, None
        if counted_in is not None:
            counted_in.count -= 1


class TrackedCursor(_Tracked):
    """Django's usual cursor."""


class TrackedDebugCursor(_Tracked, CursorDebugWrapper):
    """Django's cursor that logs queries."""
