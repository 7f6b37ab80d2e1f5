"""The pool's bookkeeping: who has which slot, who waits, and who is next."""

from __future__ import annotations

import itertools
import math
import random
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

from ..options import PoolOptions
from .deadlines import Deadlines
from .holder import Holder
from .slot import Request, Slot, State
from .statistics import Reason, Statistics
from .stats import PoolStats
from .turns import Turns

#: Least and most pause between attempts to connect to a full server, in seconds.
FULL_SERVER_PAUSE = (0.05, 1.0)

#: A pool with this part of its limit, or less, pauses for this part of the longest pause at the most. One with more
#: leaves the others more time.
NEEDY = 0.5

#: Least and most time for others after a connection was given up, in parts of the longest pause. The needy pause less.
LEFT_TO_OTHERS = (0.55, 0.8)

#: How often to look whether holders are gone that give no sign of it, in seconds.
LOOK_AT_HOLDERS = 0.5

#: How often at the most to look after slots with nothing to do yet, in seconds.
LOOK_AT_SLOTS = 1.0


def _none() -> int:
    return 0


def _nobody_looks(_when: float) -> None:
    pass


class Room:
    """Room for so many server connections, and those who want one of them.

    Every decision is made here, in memory, without I/O and without waiting. The pool calls each method with its lock
    held. Numbers are derived from the slots, never counted beside them.

    :param options: limits and times, see PoolOptions.
    :param reclaim: called when a holder ends, with each slot that it still holds.
    :param clock: monotonic seconds.
    """

    def __init__(
        self, options: PoolOptions, reclaim: Callable[[Slot, Holder], None], clock: Callable[[], float]
    ) -> None:
        self.options = options
        self.limit = options.MAX_CONNS
        self.closed = False
        #: All slots, whatever their state: as many connections as the server may count.
        self.slots: set[Slot] = set()
        self.by_connection: dict[Any, Slot] = {}
        #: The most recently used is at the right and used again first, so that the others grow old and are closed.
        self.idle: deque[Slot] = deque()
        #: By ticket, the longest waiter first.
        self.waiting: OrderedDict[Request, None] = OrderedDict()
        self._deadlines = Deadlines()
        #: How many connections are still open of pools that this one has taken the place of.
        self.elsewhere: Callable[[], int] = _none
        #: Called when a closed room has one slot less.
        self.vacated: Callable[[], object] = _none
        #: Called with the time (monotonic seconds) at which waiters may connect, which they don't notice by themselves.
        self.look_by: Callable[[float], object] = _nobody_looks
        #: While the server is full: no connect before this time, and the pause that led to it.
        self.connect_after = 0.0
        self.full_pause = 0.0
        #: How many may connect at the same time.
        self._tries = math.inf
        self.turns = Turns(clock)
        self.statistics = Statistics()
        self._reclaim = reclaim
        self._clock = clock

    # Lending

    def take(self, request: Request) -> Slot | None:
        """Lend a slot, with a connection or room for one, unless others asked before or there is none."""
        if self.waiting and next(iter(self.waiting)).ticket < request.ticket:
            return None
        if self.idle:
            slot = self.idle.pop()
        elif self._count() < self.limit and self._may_connect():
            slot = Slot()
            self.slots.add(slot)
        else:
            return None
        slot.lend(request, self._clock())
        request.holder.held[slot] = self._reclaim
        return slot

    def _count(self) -> int:
        return len(self.slots) + self.elsewhere()

    def _may_connect(self) -> bool:
        """Tell whether the server may have room. After a refusal one tries at a time, after each success one more."""
        if self.full_pause and self._clock() < self.connect_after:
            return False
        return sum(slot.state is State.CONNECTING for slot in self.slots) < self._tries

    def enqueue(self, request: Request) -> None:
        """Queue a request by its ticket: last, or, when it was served before in vain, where it would be now."""
        self._deadlines.add(request)
        newest = next(reversed(self.waiting), None)
        self.waiting[request] = None
        if newest is None or newest.ticket < request.ticket:
            return
        earlier = list(itertools.takewhile(lambda other: other.ticket < request.ticket, self.waiting))
        for first in (request, *reversed(earlier)):
            self.waiting.move_to_end(first, last=False)

    def dispatch(self) -> None:
        """Give what is free to those who have waited longest; the only place that does."""
        while self.waiting:
            request = next(iter(self.waiting))
            if request.holder.ended:
                self._end_wait(request)
            elif (slot := self.take(request)) is not None:
                self._end_wait(request)
                if slot.connection is not None:
                    self.settle(request)  # Else it has yet to connect, which may send it back to wait.
                request.answer(slot)
            else:
                return

    def expire(self, now: float) -> None:
        """Wake those whose time is over, with nothing."""
        while (request := self._deadlines.first()) is not None and request.is_late(now):
            self._end_wait(request)
            self.settle(request)
            request.answer()

    def _end_wait(self, request: Request) -> None:
        del self.waiting[request]
        self._deadlines.remove(request)

    def settle(self, request: Request) -> None:
        """Record how long a request has waited, once, when it is served for good or given up."""
        if request.since is not None:
            self.statistics.wait.record(self._clock() - request.since)
            request.since = None

    def waiting_since(self) -> float | None:
        """Since when the longest waiter has waited (monotonic seconds); None if nobody waits."""
        return next((request.since for request in self.waiting), None)

    def withdraw(self, request: Request) -> bool:
        """Forget a waiter that was interrupted; what it was given meanwhile comes back, see ``give_back``."""
        if request in self.waiting:
            self._end_wait(request)
        self.settle(request)
        return request.slot is not None and self.give_back(request.slot)

    def share(self, connection: Any, holder: Holder) -> None:
        """Lend a connection that is lent to somebody else."""
        slot = self.by_connection.get(connection)
        if slot is not None and slot.holder is not None:
            slot.holder.held.pop(slot, None)
            slot.holder = holder
            holder.held[slot] = self._reclaim

    def opening(self, slot: Slot, connection: Any) -> Slot | None:
        """Note a connection that is being opened in a slot, so that it is closed if that fails; None if it is gone.

        :returns: a slot for what is left of the attempt before, to be closed: it counts until then.
        """
        failed, slot.connection = slot.connection, connection
        if failed is None or connection is None:
            return None
        left = Slot()
        left.connection, left.state, left.reason, left.since = failed, State.CLOSING, "broken", self._clock()
        self.slots.add(left)
        return left

    # Slots that come back

    def opened(self, slot: Slot, connection: Any, seconds: float) -> None:
        """Note that a slot's connection is there to be used, and how long it took to open it."""
        slot.connection = connection
        slot.since = self._clock()
        lifetime = self.options.CONN_MAX_LIFETIME
        if lifetime is not None:
            # Connections that were opened together should not all be replaced together.
            slot.expires_at = slot.since + lifetime * random.uniform(0.9, 1)
        slot.state = State.IN_USE
        self.by_connection[connection] = slot
        self.statistics.connects += 1
        self.statistics.connect.record(seconds)
        if self.full_pause or self._tries < self.limit:
            self.full_pause = self.connect_after = 0.0
            self._tries += 1
            self.dispatch()  # The next may connect too.

    def _why_not_keep(self, slot: Slot) -> Reason | None:
        """Say why a slot that comes back with a sound connection should not be lent again; None if it should."""
        if self.closed:
            return "shutdown"
        if self._excess() > 0 or not (self.waiting or len(self.idle) < self.options.reuse_conns):
            return "surplus"
        if slot.expires_at is not None and slot.expires_at <= self._clock():
            return "lifetime"
        return None

    def _excess(self) -> int:
        """How many connections are open that should not be, besides those that are being closed; 0 or less for none."""
        excess = self._count() - self.limit
        return excess if excess <= 0 else excess - sum(slot.state is State.CLOSING for slot in self.slots)

    def give_back(self, slot: Slot, flaw: Reason | None = None) -> bool:
        """Take a slot back from its holder; True if its connection is to be closed, as unfit or one too many."""
        reason = flaw or self._why_not_keep(slot)
        if reason is None:
            self.release(slot)
            return False
        return self.doom(slot, reason)

    def release(self, slot: Slot) -> None:
        """Free a slot of its holder; its connection, if there is one, is fit to be lent again."""
        self._unlend(slot)
        if slot.connection is None:
            self.vacate(slot)
        else:
            slot.state = State.IDLE
            slot.since = self._clock()
            self.idle.append(slot)
            self.dispatch()

    def doom(self, slot: Slot, reason: Reason) -> bool:
        """Take a slot from whoever has it, to be closed; True if there is a connection to close."""
        self._unlend(slot)
        self._strike(slot, reason)
        was_connecting = slot.state is State.CONNECTING
        slot.state = State.CLOSING
        slot.reason = reason
        slot.since = self._clock()
        if slot.connection is None:
            self.vacate(slot)
        elif was_connecting:
            self.dispatch()  # Another may try in its place.
        return slot.connection is not None

    def emptied(self, slot: Slot, reason: Reason) -> None:
        """Note that a slot's connection is closed and another will be opened."""
        self._strike(slot, reason)
        slot.connection = slot.expires_at = None
        slot.state = State.CONNECTING

    def _strike(self, slot: Slot, reason: Reason) -> None:
        """Count a connection as one that was open once."""
        if self.by_connection.pop(slot.connection, None) is not None:
            self.statistics.closed[reason] += 1

    def vacate(self, slot: Slot) -> None:
        """Note that the server has let go of a slot's connection."""
        self.slots.discard(slot)
        if slot.reason == "yielded":
            self._leave_to_others()
        self.dispatch()
        if self.closed:
            self.vacated()

    def _unlend(self, slot: Slot) -> None:
        if slot.holder is not None:
            slot.holder.held.pop(slot, None)
            slot.holder = None
            if slot.counts or slot.state is State.IN_USE:
                self.statistics.use.record(self._clock() - slot.since)
        slot.label = slot.stack = None

    def refused(self) -> None:
        """Note that the server was full: no connect before a pause, unlike one of our own connections."""
        now = self._clock()
        if self.full_pause and now < self.connect_after:
            return  # Several tried at the same time.
        size = len(self.by_connection)
        self.turns.refused(size)
        least, most = FULL_SERVER_PAUSE
        most *= min(1.0, max(NEEDY, size / self.limit))
        # Workers that share a full server should not come back all at the same time.
        self._pause(min(max(2 * self.full_pause, least), most), random.uniform(0.5, 1))

    def is_turn_over(self) -> bool:
        """Tell whether to ask, over a connection that comes back, if others may be waiting for it."""
        return bool(self.waiting) and self.turns.is_over(len(self.by_connection))

    def step_aside(self) -> None:
        """Note that one of the connections will be closed to leave its room on a full server to other processes."""
        self.turns.step_aside()
        self._leave_to_others()

    def _leave_to_others(self) -> None:
        # Again when the server has let go of the connection: others can have it only from then on.
        self._pause(FULL_SERVER_PAUSE[1], random.uniform(*LEFT_TO_OTHERS))

    def _pause(self, pause: float, part: float) -> None:
        """Have nobody connect for a part of a pause."""
        self.full_pause = pause
        self._tries = 1
        self.connect_after = max(self.connect_after, self._clock() + pause * part)
        self.look_by(self.connect_after)

    def close(self, error: Callable[[], Exception]) -> list[Slot]:
        """Lend no more: send the waiters away, each with an error, and take out the idle slots, doomed."""
        self.closed = True
        for request in self.waiting:
            request.answer(error=error())
            self._deadlines.remove(request)
        self.waiting.clear()
        return self._doom_idle(list(self.idle), "shutdown")

    # Housekeeping

    def surplus(self) -> list[Slot]:
        """Take out the idle slots that are over the limit, doomed."""
        over = max(0, min(self._excess(), len(self.idle)))
        return self._doom_idle(list(itertools.islice(self.idle, over)), "surplus")

    def drain(self) -> list[Slot]:
        """Take out all idle slots, doomed."""
        return self._doom_idle(list(self.idle), "surplus")

    def idle_until(self, slot: Slot) -> float:
        """How long a slot may be idle; infinite if nothing ends that."""
        timeout = self.turns.idle_timeout(self.options.CONN_IDLE_TIMEOUT)
        ends = (None if timeout is None else slot.since + timeout, slot.expires_at)
        return min((end for end in ends if end is not None), default=math.inf)

    def outdated(self, now: float) -> tuple[list[Slot], list[Slot]]:
        """Take out the idle slots whose idle time or lifetime is over: doomed, or to be renewed for MIN_CONNS."""
        timeout = self.turns.idle_timeout(self.options.CONN_IDLE_TIMEOUT)
        spare = sum(slot.state is not State.CLOSING for slot in self.slots) - self.options.MIN_CONNS
        old: list[Slot] = []
        unused: list[Slot] = []
        renewed: list[Slot] = []
        for slot in self.idle:
            expired = slot.expires_at is not None and slot.expires_at <= now
            too_idle = timeout is not None and slot.since + timeout <= now
            if spare > len(old) + len(unused):
                if expired:
                    old.append(slot)
                elif too_idle:
                    unused.append(slot)
            elif expired:
                renewed.append(slot)
        for slot in renewed:
            self.idle.remove(slot)
            slot.state = State.CONNECTING
        return self._doom_idle(old, "lifetime") + self._doom_idle(unused, "idle"), renewed

    def _doom_idle(self, slots: list[Slot], reason: Reason) -> list[Slot]:
        for slot in slots:
            self.idle.remove(slot)
            self.doom(slot, reason)
        return slots

    def abandoned(self) -> list[tuple[Slot, Holder]]:
        """The slots of holders that ended without a sign, found by looking."""
        return [
            (slot, slot.holder)
            for slot in self.slots
            if slot.holder is not None and slot.holder.is_gone is not None and slot.holder.is_gone()
        ]

    def overdue(self, now: float) -> list[Slot]:
        """The slots held for longer than LEAK_WARNING_AFTER, each told once."""
        after = self.options.LEAK_WARNING_AFTER
        if after is None:
            return []
        late = [s for s in self.slots if s.holder is not None and not s.warned and s.since + after <= now]
        for slot in late:
            slot.warned = True
        return late

    def next_deadline(self, now: float) -> float:
        """When the housekeeper has something to do next; infinite if nothing is to be expected.

        :param now: from before the rest of the work, so that nothing that comes due meanwhile is missed.
        """
        times = [slot.expires_at for slot in self.slots if slot.expires_at is not None and slot.expires_at > now]
        timeout, leak_after = self.turns.idle_timeout(self.options.CONN_IDLE_TIMEOUT), self.options.LEAK_WARNING_AFTER
        if self.slots:
            # Nothing that is lent or comes back from now on is due before, so that none needs to wake the housekeeper.
            times.append(now + max(LOOK_AT_SLOTS, min(timeout or math.inf, leak_after or math.inf)))
        spare = sum(slot.state is not State.CLOSING for slot in self.slots) - self.options.MIN_CONNS
        if timeout is not None and spare > 0:
            times += [slot.since + timeout for slot in self.idle]
        if leak_after is not None:
            times += [s.since + leak_after for s in self.slots if s.holder is not None and not s.warned]
        if any(slot.holder is not None and slot.holder.is_gone is not None for slot in self.slots):
            times.append(now + LOOK_AT_HOLDERS)
        if self.full_pause and self.connect_after > now:
            times.append(self.connect_after)
        times.append(self._deadlines.next())
        return min(times)

    def snapshot(self) -> PoolStats:
        """The numbers of this moment."""
        now = self._clock()
        states = [slot.state for slot in self.slots]
        held = [slot for slot in self.slots if slot.holder is not None]
        wait_time, use_time = self.statistics.wait.times(), self.statistics.use.times()
        longest = min(held, key=lambda slot: slot.since, default=None)
        return PoolStats(
            limit=self.limit,
            size=len(states),
            in_use=states.count(State.IN_USE),
            idle=states.count(State.IDLE),
            connecting=states.count(State.CONNECTING),
            closing=states.count(State.CLOSING),
            waiting=len(self.waiting),
            longest_holder=None if longest is None else longest.who(),
            longest_held=0.0 if longest is None else now - longest.since,
            checkouts=use_time.count + sum(slot.counts or slot.state is State.IN_USE for slot in held),
            waits=wait_time.count,
            timeouts=self.statistics.timeouts,
            connects=self.statistics.connects,
            failed_connects=self.statistics.failed_connects,
            reconnects=self.statistics.reconnects,
            reclaimed=self.statistics.reclaimed,
            cancelled=self.statistics.cancelled,
            closed=dict(self.statistics.closed),
            wait_time=wait_time,
            use_time=use_time,
            create_time=self.statistics.connect.times(),
        )
