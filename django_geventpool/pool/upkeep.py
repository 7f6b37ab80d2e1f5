"""What comes due with time: connections idle, open or held for long enough, and holders that are gone.

``due.py`` begins the work under the lock, each time the housekeeper looks, and ``Pool._keep_house`` does the rest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from . import idle_transactions
from .slot import Slot, State
from .state import PoolState

#: How often to look for the end of holders that give no sign of it, in seconds.
HOLDER_POLL_INTERVAL = 0.5

#: Shortest pause before the next look at slots that are not due yet, in seconds.
SLOT_POLL_INTERVAL = 1.0

#: Shortest pause before the next look at the server's session list over an idle connection, in seconds.
LOOK_POLL_INTERVAL = 0.1

#: How long the server may take to say who is connected, over an idle connection, in seconds: else that is lost, as
#: where something between has forgotten it, which nobody says.
LOOK_PATIENCE = 5.0

#: How often to look at slots in any case, in seconds: who should have woken the housekeeper may have been interrupted.
BACKSTOP = 2.0


class Upkeep:
    """The rules by which slots are closed, renewed and reclaimed. The pool calls each method with its lock held.

    :param state: the pool's.
    """

    def __init__(self, state: PoolState) -> None:
        self.state = state
        leak_after, idle_after = state.options.LEAK_WARNING_AFTER, state.options.IDLE_IN_TRANSACTION_WARNING_AFTER
        #: How soon to look at a slot that was lent, for the warnings, in seconds. Kept, as each checkout reads it.
        self.look_after = min(leak_after or math.inf, idle_transactions.pause(idle_after))

    def _idle_timeout(self) -> float | None:
        return self.state.server.idle_timeout(self.state.options.CONN_IDLE_TIMEOUT)

    def wake_at(self, slot: Slot) -> float:
        """Return by when to look at a slot that has come back (monotonic seconds), so that it isn't idle for too long.

        While there are slots, a look is planned within BACKSTOP, so twice that wakes the housekeeper only if none is.
        It is less than IDLE_AT_FULL_SERVER, so only the fleet may shorten it.
        """
        timeout = self.state.server.fleet.idle_timeout(self.state.options.CONN_IDLE_TIMEOUT)
        end = slot.since + (2 * BACKSTOP if timeout is None else min(timeout, 2 * BACKSTOP))
        return end if slot.expires_at is None else min(end, slot.expires_at)

    def evict_outdated(self, now: float) -> tuple[list[Slot], list[Slot]]:
        """Evict the idle slots whose idle time or lifetime is over; return them, and those to renew for MIN_CONNS.

        ``Pool._keep_house`` hands them to the ``Closer``.
        """
        timeout = self._idle_timeout()
        spare = sum(slot.state is not State.CLOSING for slot in self.state.slots) - self.state.options.MIN_CONNS
        old: list[Slot] = []
        unused: list[Slot] = []
        renewed: list[Slot] = []
        for slot in self.state.idle:
            expired = slot.expires_at is not None and slot.expires_at <= now
            too_idle = timeout is not None and slot.since + timeout <= now
            if spare > len(old) + len(unused):
                if expired:
                    old.append(slot)
                elif too_idle:
                    unused.append(slot)
            elif expired:
                renewed.append(slot)
        evicted = self.state.evict_idle(old, "lifetime") + self.state.evict_idle(unused, "idle")
        return evicted, renewed

    def slot_to_look_with(self, now: float, to_renew: Sequence[Slot]) -> Slot | None:
        """Return the idle slot over which to read the server's session list; None if that isn't due.

        :param to_renew: those whose connections are about to be closed.
        """
        if now < self._look_at() or self._looked_over():
            return None  # One at a time: if the network is silent, no other is to hang.
        return next((slot for slot in reversed(self.state.idle) if slot not in to_renew), None)

    def _looked_over(self) -> list[Slot]:
        renewal = self.state.renewal_request
        return [s for s in self.state.slots if s.request is renewal and s.is_look and s.state is State.CONNECTING]

    def lost_in_a_look(self, now: float) -> list[Slot]:
        """Return the slots over which the list was to be read, and nobody answers."""
        return [slot for slot in self._looked_over() if slot.used_since + LOOK_PATIENCE <= now]

    def _look_at(self) -> float:
        state = self.state
        return state.server.fleet.look_at(len(state.idle), len(state.waiting), state.limit)

    def abandoned(self) -> list[Slot]:
        """Return the slots of holders and owners that are gone."""
        return [slot for slot in self.state.slots if slot.is_abandoned]

    def forgotten(self, now: float) -> list[Slot]:
        """Return the evicted slots that nobody is closing: whoever was to close them was interrupted before."""
        return [
            slot
            for slot in self.state.slots
            if slot.state is State.CLOSING and not slot.is_being_closed and slot.since + SLOT_POLL_INTERVAL <= now
        ]

    def mark_overdue(self, now: float) -> list[Slot]:
        """Mark the slots held for longer than LEAK_WARNING_AFTER, and return them: each only once."""
        after = self.state.options.LEAK_WARNING_AFTER
        if after is None:
            return []
        late = [s for s in self.state.slots if s.request is not None and not s.is_overdue and s.since + after <= now]
        for slot in late:
            slot.is_overdue = True
        return late

    def next_wake(self, now: float) -> float:
        """Return when the housekeeper has something to do next; infinite if nothing is to be expected.

        :param now: from before the rest of the work, so that nothing that comes due meanwhile is missed.
        """
        times = [slot.expires_at for slot in self.state.slots if slot.expires_at is not None and slot.expires_at > now]
        timeout, leak_after = self._idle_timeout(), self.state.options.LEAK_WARNING_AFTER
        if self.state.slots:
            # What is lent or comes back from now on is due later than this, so it need not wake the housekeeper.
            times.append(now + max(SLOT_POLL_INTERVAL, min(timeout or math.inf, leak_after or math.inf, BACKSTOP)))
        spare = sum(slot.state is not State.CLOSING for slot in self.state.slots) - self.state.options.MIN_CONNS
        if timeout is not None and spare > 0:
            times += [slot.since + timeout for slot in self.state.idle]
        if leak_after is not None:
            times += [s.since + leak_after for s in self.state.slots if s.request is not None and not s.is_overdue]
        if any(slot.holder is not None and slot.holder.poll_end is not None for slot in self.state.slots):
            times.append(now + HOLDER_POLL_INTERVAL)
        if self.state.idle:
            times.append(max(self._look_at(), now + LOOK_POLL_INTERVAL))
        if self.state.waiting:
            times.append(max(self.state.server.fleet.grow_at(), now + SLOT_POLL_INTERVAL))
        return min(*times, self.state.server.next_wake(now), self.state.waiting.next_deadline())
