"""Opening connections, and replacing those that were lost or have lived long enough."""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from typing import Any

from .closer import Closer
from .counters import Reason
from .driver import Driver
from .lock import Lock
from .lookout import Lookout, own_numbers
from .slot import Slot
from .state import PoolState

logger = logging.getLogger("geventpool.pool")


class Connector:
    """The opening and replacing of the connections of lent slots.

    :param name: the pool's alias, for messages.
    """

    def __init__(
        self, name: str, driver: Driver, lock: Lock, state: PoolState, closer: Closer, lookout: Lookout
    ) -> None:
        self._name = name
        self._driver = driver
        self._lock = lock
        self._state = state
        self._closer = closer
        self._lookout = lookout

    def make_ready(self, slot: Slot) -> None:
        """Open a slot's connection if it has none, or has lost it.

        :raises Exception: what the driver raises when it can't connect.
        """
        if slot.connection is None:
            self._connect(slot)
        elif not self._driver.is_alive(slot.connection):
            logger.debug('Pool "%s": an idle connection was lost; replacing it', self._name)
            self.replace(slot, "broken")
            self._lock.run(self._state.counters.count, "reconnects")

    def replace(self, slot: Slot, reason: Reason) -> None:
        """Close a slot's connection, and open another when the server has let go of it."""
        self._closer.close_connection(slot.connection)
        self._lock.run(self._state.record_replacing, slot, reason)
        self._connect(slot)

    def _connect(self, slot: Slot) -> None:
        logger.debug('Pool "%s": connecting', self._name)
        badge = self._lock.run(self._badge)
        start = time.monotonic()
        try:
            connection = self._driver.connect(functools.partial(self._on_opening, slot), badge)
        except self._driver.error as error:
            self._lock.run(self._state.counters.count, "failed_connects")
            if not self._driver.is_server_full(error):
                self._lock.run(self._state.server.failed)
            raise
        self._lock.run(self._state.record_opened, slot, connection, time.monotonic() - start)
        # Where others may want connections, one is opened first: over it the list says how many more may be.
        with contextlib.suppress(self._driver.error):  # Else the holder finds out.
            self._lookout.look_if_due(connection)
        if self._state.waiting:
            self._lock.run(self._state.dispatch)

    def _badge(self) -> str:
        return self._state.server.fleet.badge(own_numbers(self._state))

    def _on_opening(self, slot: Slot, connection: Any) -> None:
        failed = self._lock.run(self._state.record_opening, slot, connection)
        if failed is not None:
            self._closer.close_soon(failed)
