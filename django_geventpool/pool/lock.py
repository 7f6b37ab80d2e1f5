"""The pool's lock."""

from __future__ import annotations

import threading
from types import TracebackType


class Lock:
    """A lock that knows who holds it.

    A garbage collection may start at any step, also while the lock is held, and run a finalizer (of a half-read
    iterator, say) that comes back to the pool. With an ordinary lock it would wait for itself for ever.
    """

    __slots__ = ("_lock", "_owner")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner: int | None = None

    def __enter__(self) -> None:
        if self.is_mine():
            raise RuntimeError("a finalizer has asked for a connection in the middle of the pool's own work")
        self._lock.acquire()
        self._owner = threading.get_ident()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._owner = None
        self._lock.release()

    def is_mine(self) -> bool:
        """Tell whether the running greenlet or thread holds the lock."""
        return self._owner == threading.get_ident()
