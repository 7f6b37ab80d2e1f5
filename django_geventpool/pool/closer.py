"""Closing connections, which takes a round trip and must not make anybody wait."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from .. import green, process
from .driver import Driver
from .lock import Lock
from .slot import Slot
from .state import PoolState

logger = logging.getLogger("geventpool.pool")


class Closer:
    """The closing of evicted slots' connections, each in a greenlet or thread of its own; the slots are free then.

    :param name: the pool's alias, for messages.
    """

    def __init__(self, name: str, driver: Driver, lock: Lock, state: PoolState) -> None:
        self._name = name
        self._driver = driver
        self._lock = lock
        self._state = state
        self._process = process.mark()

    def close_soon(self, *slots: Slot | None) -> None:
        """Close the connections of evicted slots, without waiting for the server; None stands for nothing to close."""
        for slot in slots:
            if slot is not None:
                self.start(self.close, slot)

    def start(self, function: Callable[[Slot], None], slot: Slot) -> None:
        """Run a function in a greenlet or thread of its own."""
        try:
            green.start_thread(function, slot)
        except RuntimeError:
            function(slot)  # No thread can be started: there are too many, or the interpreter is shutting down.

    def close(self, slot: Slot) -> None:
        """Close an evicted slot's connection, and free the slot when the server has let go of it.

        If this is interrupted, the slot is not free yet: another greenlet or thread goes on.
        """
        if not process.is_current(self._process) or not self._lock.run(self._state.begin_to_close, slot):
            return  # This greenlet was forked along, or somebody else closes the connection.
        try:
            self.close_connection(slot.connection)
            self._lock.run(self._state.connection_closed, slot, self._driver.is_interrupted(slot.connection))
        except BaseException:
            slot.is_being_closed = False
            self.close_soon(slot)
            raise

    def close_connection(self, connection: Any) -> None:
        """Close a connection, and return when the server has let go of it."""
        logger.debug('Pool "%s": closing a connection', self._name)
        try:
            self._driver.close(connection)
        except self._driver.error:
            logger.debug('Pool "%s": closing a connection failed', self._name, exc_info=True)
