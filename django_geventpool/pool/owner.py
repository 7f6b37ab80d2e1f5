"""Owners: the objects on whose behalf holders ask, which may be gone without giving their connection back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import holder as holders
from .ends import end_of
from .slot import Request


class Owner:
    """An object that takes connections, one at a time, such as a wrapper of Django's: its end reclaims what it has.

    The pool knows which connection that is, not the owner: an exception may arrive after a connection was lent, and
    before the owner has recorded it.

    :param referent: the object.
    """

    __slots__ = ("_end", "_listeners", "request")

    def __init__(self, referent: object) -> None:
        #: Its open requests, each with what to call at the object's end: two while the first is being given back.
        self._listeners: dict[Request, Callable[[], object]] = {}
        self._end = end_of(referent, self._listeners)
        #: The last of them, for speed; None if there is none.
        self.request: Request | None = None

    def ask(self, request: Request, tell: Callable[[], object]) -> None:
        """Record a request, and what to call at the object's end if that comes first."""
        self.request = request
        self._listeners[request] = tell

    def forget(self, request: Request) -> None:
        """Forget a request that has nothing any more.

        Between any two steps, a finalizer may make another request, of another pool too, which must not be forgotten.
        """
        self._listeners.pop(request, None)
        while self.request is not (asked := [None, *self._listeners][-1]):
            self.request = asked

    @property
    def connection(self) -> Any:
        """The connection that it has now, None if it has none."""
        request = self.request
        slot = None if request is None else request.slot
        return slot.connection if slot is not None and slot.request is request else None

    @property
    def referent(self) -> Any:
        """The object, None if it is gone."""
        return self._end()

    @property
    def is_gone(self) -> bool:
        """Whether the last reference to the object is gone."""
        return self._end.has_come


def owners() -> list[Owner]:
    """Return the owners for whom the running greenlet or thread holds a slot."""
    return [request.owner for request in holders.requests_with_slots() if isinstance(request.owner, Owner)]
