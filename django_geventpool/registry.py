"""The pools of this process, by alias."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping

from .pool import Pool
from .pool import holder as holders


class Pools(Mapping[str, Pool]):
    """The pools of this process by database alias: ``pools["default"].stats()``.

    A pool is there from the first connection of its alias on.
    """

    def __init__(self) -> None:
        #: By alias: what the pool connects to, and the pool.
        self._entries: dict[str, tuple[object, Pool]] = {}
        #: By alias, the pool that was closed last.
        self._closed: dict[str, Pool] = {}

    def __getitem__(self, alias: str) -> Pool:
        return self._entries[alias][1]

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    def obtain(self, alias: str, target: object, make: Callable[[], Pool]) -> Pool:
        """Return the pool of an alias, made by ``make`` if there is none that is open and connects to ``target``.

        A test runner points an alias at another database: then the old pool is closed.
        """
        pool = self._find(alias, target)
        if pool is not None:
            return pool
        with self._lock():
            pool = self._find(alias, target)
            if pool is not None:
                return pool
            _, old = self._entries.get(alias, (None, None))
            pool = make()
            elder = self._closed.pop(alias, None) if old is None else old
            if elder is not None:
                pool.succeed(elder)
            self._entries[alias] = (target, pool)
        if old is not None:
            old.close()
        return pool

    def close(self, alias: str) -> None:
        """Close the pool of an alias, if there is one; the next connection makes a new one."""
        with self._lock():
            _, pool = self._entries.pop(alias, (None, None))
            if pool is not None:
                self._closed[alias] = pool
        if pool is not None:
            pool.close()

    def targets(self) -> dict[str, object]:
        """Return what the pool of each alias connects to."""
        return {alias: target for alias, (target, _) in list(self._entries.items())}

    def close_all(self) -> None:
        """Close all pools of this process; the next connections make new ones."""
        for alias in self:
            self.close(alias)

    def forget(self) -> None:
        """Start without pools, and leave those that there are alone: a forked child's are its parent's."""
        self._entries = {}
        self._closed = {}
        self.__dict__.pop("_made_lock", None)

    def _find(self, alias: str, target: object) -> Pool | None:
        known_target, pool = self._entries.get(alias, (None, None))
        return pool if pool is not None and not pool.closed and known_target == target else None

    def _lock(self) -> threading.Lock:
        # Made on first use, as this module may be imported before monkey-patching; setdefault lets one of two win.
        lock: threading.Lock = self.__dict__.setdefault("_made_lock", threading.Lock())
        return lock


pools = Pools()


def _start_afresh() -> None:
    pools.forget()
    holders.forget_all()


os.register_at_fork(after_in_child=_start_afresh)
