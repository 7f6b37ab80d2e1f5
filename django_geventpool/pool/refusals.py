"""The errors for requests that get no connection."""

from __future__ import annotations

from ..errors import PoolClosed, PoolTimeout
from .alarms import Alarms
from .lock import Lock
from .slot import Request
from .snapshots import snapshot
from .state import PoolState
from .stats import PoolStats


class Refusals:
    """The errors of one pool.

    :param name: the pool's alias.
    """

    def __init__(self, name: str, lock: Lock, state: PoolState, alarms: Alarms) -> None:
        self._name = name
        self._lock = lock
        self._state = state
        self._alarms = alarms

    def closed(self) -> PoolClosed:
        """Return the error for requests to a closed pool."""
        return PoolClosed(f'Pool "{self._name}" is closed: take a new one from django_geventpool.pools.')

    def record_timeout(self, request: Request) -> PoolTimeout:
        """Count a timeout; return the error for the request whose time is over."""
        stats, advice = self._lock.run(self._count_timeout, request)
        error = PoolTimeout(
            f'Pool "{self._name}": no connection came free within {request.timeout} s ({request.timeout_source}): '
            f"{stats}. {advice}"
        )
        error.__cause__ = request.full_error
        return error

    def _count_timeout(self, request: Request) -> tuple[PoolStats, str]:
        """Count a timeout, under the lock; return the pool's numbers, and advice."""
        self._state.counters.count("timeouts")
        self._state.uses.of(request).timeouts += 1
        return snapshot(self._state), self._alarms.advise(request)
