"""Taking connections back: once, clean, and even if the caller is interrupted."""

from __future__ import annotations

import contextvars
import logging
from collections import deque
from collections.abc import Callable

from .closer import Closer
from .counters import Reason
from .driver import Driver
from .lock import Lock, ReentryError, is_refusal
from .lookout import Lookout
from .slot import Request, Slot, State
from .state import PoolState
from .upkeep import Upkeep

logger = logging.getLogger("geventpool.pool")

#: What came back in the middle of the pool's own work: slots, their requests, and why to close them, None to keep.
Deferred = deque[tuple[Slot, Request, "Reason | None"]]


class Returns:
    """Takes slots back from their holders.

    If several callers give the same slot back at the same time, only the first touches the connection: once it is done,
    the connection may be somebody else's.

    :param name: the pool's alias, for messages.
    :param wake_by: makes the housekeeper look by a time (monotonic seconds).
    :param wake: makes it look now.
    """

    def __init__(
        self,
        name: str,
        driver: Driver,
        lock: Lock,
        state: PoolState,
        closer: Closer,
        upkeep: Upkeep,
        lookout: Lookout,
        wake_by: Callable[[float], object],
        wake: Callable[[], object],
    ) -> None:
        self._name = name
        self._driver = driver
        self._lock = lock
        self._state = state
        self._closer = closer
        self._upkeep = upkeep
        self._lookout = lookout
        self._wake_by = wake_by
        self._wake = wake
        #: For the housekeeper to put back.
        self.deferred: Deferred = deque()

    def clean_and_take_back(self, slot: Slot, request: Request) -> bool:
        """Clean a slot and take it back from a request; False if another caller is doing that, and will finish it.

        :raises Exception: what interrupts this, such as the caller's own timeout. The slot is taken back all the same.
        """
        # In a copy of the caller's context, which tracers look into.
        context = contextvars.copy_context()
        try:
            request.return_guard.run(context.run, self._clean_and_take_back, slot, request)
        except RuntimeError as error:
            if is_refusal(error):
                return False
            raise  # It comes from inside.
        return True

    def _clean_and_take_back(self, slot: Slot, request: Request) -> None:
        reason: Reason | None = "killed"
        try:
            if (
                slot.request is not request
                or slot.state is not State.IN_USE
                or (self.deferred and self._is_deferred(request))
            ):
                return  # Another was faster.
            if not self._driver.reset(slot.connection):
                reason = "broken"
            elif self._lookout.look_if_due(slot.connection):
                reason = "yielded"
            else:
                reason = None
        except self._driver.error:
            # The connection is lost, but its holder, who gives it back, has no use for the error.
            logger.debug('Pool "%s": a connection could not be cleaned', self._name, exc_info=True)
            reason = "broken"
        finally:
            self.put_back(slot, request, reason)

    def _is_deferred(self, request: Request) -> bool:
        return any(other is request for _, other, _ in list(self.deferred))

    def put_back(self, slot: Slot, request: Request, reason: Reason | None) -> None:
        """Take a slot from a request that still has it, without cleaning.

        :param reason: why its connection is to be closed; None if it may be lent again.
        """
        connection = slot.connection
        if reason is not None and connection is not None and self._driver.is_interrupted(connection):
            reason = "killed"
        try:
            to_close = self._lock.run(self._state.take_back, slot, request, reason)
        except ReentryError:
            self.deferred.append((slot, request, reason))
            self._wake()
            return
        if to_close:
            self._closer.close_soon(slot)
        elif to_close is not None and slot.state is State.IDLE:  # Else it was lent to the next, who gives it back.
            self._wake_by(self._upkeep.wake_at(slot))
