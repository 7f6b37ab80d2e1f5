"""Noticing the end of an object, even if an exception arrives on the way."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from typing import Any


class End(weakref.ref[Any]):
    """A weak reference that calls its listeners as soon as the object is gone.

    A finalizer would not do: if a signal handler's exception arrives in one, its traceback keeps the object alive.
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
    """Return a weak reference that tells of the end of an object.

    :param listeners: what to call when the object is gone; it may change until then.
    """
    end = End(thing, _tell)
    end.listeners = listeners
    return end


def _tell(end: End, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
    # If this is interrupted, only time is lost: the pools look now and then for what is gone. At the end of the
    # interpreter, modules that the listeners need may be gone.
    if getattr(end, "listeners", None) and not is_finalizing():
        for tell in list(end.listeners.values()):
            tell()
