"""The pools of this process, by alias."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from . import process
from .pool import Pool
from .pool import holder as holders
from .pool.lock import Lock


def _nothing_to_repair() -> None:
    """Do nothing: each change here is a single step, or may be done twice."""


class Pools(Mapping[str, Pool]):
    """The pools of this process by database alias: ``pools["default"].stats()``.

    A pool is there from the first connection of its alias on.
    """

    def __init__(self) -> None:
        #: By alias, what the pool connects to, and the pool.
        self._entries: dict[str, tuple[object, Pool]] = {}
        #: By alias, the pool that was closed last.
        self._closed: dict[str, Pool] = {}
        self._lock = Lock(_nothing_to_repair)

    def __getitem__(self, alias: str) -> Pool:
        return self._entries[alias][1]

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    def obtain(self, alias: str, target: object, make: Callable[[], Pool]) -> Pool:
        """Return the pool of an alias, made by ``make`` if there is none that is open and connects to ``target``.

        When a test runner points an alias at another database, the old pool is closed.
        """
        pool = self._find(alias, target)
        if pool is not None:
            return pool
        # Outside of the lock, as this imports drivers, and may run a finalizer that queries.
        made = make()
        while True:
            pool, still_open = self._lock.run(self._register, alias, target, made)
            if still_open is None:
                return pool
            # Outside of the lock, too: a finalizer in the middle of a pool's work may wait for this lock.
            still_open.close()

    def _register(self, alias: str, target: object, made: Pool) -> tuple[Pool, Pool | None]:
        """Make a new pool the alias's, unless another was faster.

        :return: the alias's pool, and None; or the new one, and the pool before it, which is to be closed first: else
            both could open connections.
        """
        pool = self._find(alias, target)
        if pool is not None:
            return pool, None
        _, old = self._entries.get(alias, (None, None))
        predecessor = self._closed.get(alias) if old is None else old
        if predecessor is not None:
            if not predecessor.closed:
                return made, predecessor
            made.succeed(predecessor)
        self._entries[alias] = (target, made)
        self._closed.pop(alias, None)
        return made, None

    def close(self, alias: str) -> None:
        """Close the pool of an alias, if there is one; the next connection makes a new one."""
        pool = self._lock.run(self._unregister, alias)
        if pool is not None:
            pool.close()

    def _unregister(self, alias: str) -> Pool | None:
        _, pool = self._entries.get(alias, (None, None))
        if pool is not None:
            self._closed[alias] = pool
            del self._entries[alias]
        return pool

    def targets(self) -> dict[str, object]:
        """Return what the pool of each alias connects to."""
        return {alias: target for alias, (target, _) in list(self._entries.items())}

    def close_all(self) -> None:
        """Close all pools of this process; the next connections make new ones."""
        for alias in self:
            self.close(alias)

    def forget(self) -> None:
        """Start without pools, in a forked child, and leave those that it inherited alone: they are its parent's."""
        self._entries = {}
        self._closed = {}
        self._lock = Lock(_nothing_to_repair)

    def _find(self, alias: str, target: object) -> Pool | None:
        known_target, pool = self._entries.get(alias, (None, None))
        return pool if pool is not None and not pool.closed and known_target == target else None


pools = Pools()


def _start_afresh() -> None:
    pools.forget()
    holders.forget_all()


process.at_begin(_start_afresh)
