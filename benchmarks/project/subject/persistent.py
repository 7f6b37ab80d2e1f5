"""Connections that are never given back: no pool can be faster."""

from __future__ import annotations

import os
from collections.abc import Callable

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from subject.turns import Turns

_ALIAS = "default"


def limit() -> int:
    """Return the number of these connections; 0 for contenders that don't use them."""
    return int(os.environ.get("BENCH_PERSISTENT", "0"))


class Persistent:
    """A number of Django's wrappers, each with its connection, for greenlets that are new for each task."""

    def __init__(self, size: int) -> None:
        self._free = Turns([self._make() for _ in range(size)])

    def run(self, work: Callable[[int], None], number: int) -> None:
        """Work with one of the wrappers, put where Django looks for the greenlet's own."""
        wrapper = self._free.take()
        connections[_ALIAS] = wrapper
        try:
            work(number)
        finally:
            del connections[_ALIAS]
            self._free.put(wrapper)

    def _make(self) -> BaseDatabaseWrapper:
        wrapper = connections.create_connection(_ALIAS)
        wrapper.inc_thread_sharing()
        return wrapper
