"""The laws of a pool, checked after each step of its process."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from django_geventpool.pool import Pool
from django_geventpool.pool.slot import Request, Slot, State
from django_geventpool.pool.upkeep import SLOT_POLL_INTERVAL
from tests.support import inside

if TYPE_CHECKING:
    from .process import Process

#: How late the housekeeper may tell a waiter that its time is over, or that it may connect, as it waits for the
#: processor; how long it may take to take back what the ended have, and to close a connection, at the most; in seconds.
LATE = 0.1
LATE_RECLAIM = 3.0
LATE_CLOSE = 25.0
#: In longer queues, not all is looked at in each step.
SHORT_QUEUE = 8
SELDOM = 16


class LawBroken(AssertionError):
    """The pool has broken one of its laws."""


class Laws:
    """The laws of one pool.

    :param process: the pool's.
    """

    def __init__(self, process: Process, pool: Pool) -> None:
        self.process = process
        self.pool = pool
        self.state = inside.state(pool)
        self._lent: set[Request] = set()
        #: When slots of ended holders were first seen, and when waiters could first connect.
        self._orphans: dict[Request, float] = {}
        self._could_connect_since = math.inf
        self._checks = 0

    def _count(self) -> int:
        return len(self.state.slots) + self.state.count_predecessors()

    def check(self, now: float) -> None:
        """Check all laws.

        :raises LawBroken: with what is wrong.
        """
        self._checks += 1
        state = self.state
        self._check_slots(now)
        if state.waiting:
            self._check_waiters(now)
        else:
            self._could_connect_since = math.inf

    def fail(self, text: str) -> None:
        raise LawBroken(f"{text}: {show(self.process.name, self.pool)}")

    def _since(self, when: float) -> float:
        """Return when something began, or when the process went on since."""
        return max(when, self.process.continued_at)

    def _check_slots(self, now: float) -> None:
        state = self.state
        lent: set[Request] = set()
        for slot in state.slots:
            if slot.state is State.CLOSING:
                if now - self._since(slot.since) > LATE_CLOSE:
                    self.fail("a slot isn't free, although it was closed long ago")
                continue
            if slot.state is not State.CONNECTING and state.by_connection.get(slot.connection) is not slot:
                self.fail("a connection that is open isn't known")
            request = slot.request
            if (request is None) is not (slot.state is State.IDLE):
                self.fail("an idle slot is lent, or a lent one is nobody's")
            if request is not None and request is not state.renewal_request:
                lent.add(request)
                if request not in self.process.loans:
                    self._check_lent(slot, request, now)
        if len(state.by_connection) > len(state.slots):
            self.fail("a connection has no slot")
        self._note_lent(lent, now)

    def _note_lent(self, lent: set[Request], now: float) -> None:
        if not lent <= self._lent:
            self._check_order(lent - self._lent, now)
        self._lent = lent
        if self._orphans:
            self._orphans = {request: since for request, since in self._orphans.items() if request in lent}

    def _check_lent(self, slot: Slot, request: Request, now: float) -> None:
        """Laws 2, 4 and 9: what is lent is somebody's who asks, or is taken back from the ended."""
        task = request.holder.runner() if request.holder.runner is not None else None
        owner = request.owner
        if task is None or task.dead or (owner is not None and owner.is_gone):
            since = self._orphans.setdefault(request, now)
            if now - self._since(since) > LATE_RECLAIM:
                self.fail(f"nobody takes back a slot ({slot.state.value}) whose holder has ended")
        elif not task.borrower.asking:
            self.fail(f"{task.name} {task.number} has lost a slot ({slot.state.value}), and doesn't know of it")

    def _check_order(self, new: set[Request], now: float) -> None:
        """Law 3: nobody has overtaken the first one who waits, unless that came after, in the same step."""
        first = next(iter(self.state.waiting), None)
        if first is None or first.since == now:
            return
        if any(request.ticket > first.ticket for request in new):
            self.fail("somebody has overtaken the longest waiter")

    def _check_waiters(self, now: float) -> None:
        state = self.state
        waiting = state.waiting
        if state.idle:
            self.fail("somebody waits, and a connection is idle")
        if now - self._since(waiting.next_deadline()) > LATE:
            self.fail("somebody waits, and the time for that is over")
        if len(waiting) <= SHORT_QUEUE or self._checks % SELDOM == 0:
            self._check_queue()
        self._check_room(now)

    def _check_room(self, now: float) -> None:
        """Law 2: nobody waits for long where there is room to connect."""
        state = self.state
        connecting = sum(slot.state is State.CONNECTING for slot in state.slots)
        closing = sum(slot.state is State.CLOSING for slot in state.slots)
        # Where others want connections too, those that are being closed may have to be gone before.
        sizes = (len(state.slots), len(state.slots) - closing)
        slots = self._count()
        if slots >= state.limit or not all(state.server.may_connect(size, connecting, slots) for size in sizes):
            self._could_connect_since = math.inf
            return
        self._could_connect_since = min(now, self._could_connect_since)
        # With an old list, it is enough to try now and then.
        late = LATE + (SLOT_POLL_INTERVAL if state.server.fleet.grow_at() <= now else 0.0)
        if now - self._since(self._could_connect_since) > late:
            self.fail("somebody waits, and there is room to connect")

    def _check_queue(self) -> None:
        """Laws 3 and 4: those who wait are in order, alive, and have nothing."""
        before = None
        for request in self.state.waiting:
            if before is not None and before.ticket > request.ticket:
                self.fail("those who wait are out of order")
            before = request
            if request.held is not None:
                self.fail("somebody waits who was given a slot")
            task = request.holder.runner() if request.holder.runner is not None else None
            if task is not None and not task.dead and not task.borrower.asking:
                self.fail(f"{task.name} {task.number} is in the queue, and doesn't wait")


def show(name: str, pool: Pool) -> str:
    """Return a pool's numbers in a line."""
    state = inside.state(pool)
    slots = ", ".join(slot.state.value for slot in state.slots)
    return f"{name}: limit {state.limit}, waiting {len(state.waiting)}, {'closed, ' * state.closed}slots [{slots}]"


def check_bound(process: Process) -> None:
    """Check law 1: all pools together have no more slots than the limit, or if that was lowered, than are left.

    :raises LawBroken: if they have more.
    """
    count = sum(len(inside.state(pool).slots) for pool in process.pools)
    process.most_slots = max(inside.state(process.pool).limit, min(process.most_slots, count))
    if count > process.most_slots:
        raise LawBroken(f"{count} slots, where {process.most_slots} may be: {process}")


def check_sessions(process: Process, pools: list[Laws]) -> None:
    """Check law 1 on the server: each session of a process has its slot, unless nobody could hear of its end.

    :raises LawBroken: if there is one without.
    """
    connections = {slot.connection for laws in pools for slot in laws.state.slots}
    for session in process.sessions:
        if session.connection not in connections and not session.is_abandoned:
            raise LawBroken(f"the server has a session of {session.connection}, which has no slot: {process}")
