"""The ends of objects, and how others hear of them: no exception on the way keeps an end from being known."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from typing import Any


class End(weakref.ref[Any]):
    """Knows whether an object is gone, and tells those who want to hear of it at once.

    A finalizer would not do: an exception out of a signal handler that arrives in one, with the traceback that is
    reported then, keeps the object alive.
    """

    # Each task makes two, so there is no ``__init__`` in Python: see ``end_of``.
    __slots__ = ("listeners",)
    #: What to call when the object is gone.
    listeners: dict[Any, Callable[[], object]]

    @property
    def has_come(self) -> bool:
        """Whether the object is gone."""
        return self() is None


def end_of(thing: object, listeners: dict[Any, Callable[[], object]]) -> End:
    """Return a weak reference to an object that tells of its end.

    :param listeners: what to call when the object is gone; it may change until then.
    """
    end = End(thing, _tell)
    end.listeners = listeners
    return end


def _tell(end: End, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
    # If this is interrupted, nothing is lost but time: the pools look now and then for what is gone. At the end of the
    # interpreter there may not be much left of it.
    if getattr(end, "listeners", None) and not is_finalizing():
        for tell in list(end.listeners.values()):
            tell()
