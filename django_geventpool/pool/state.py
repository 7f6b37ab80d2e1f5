"""The pool's bookkeeping: who has which slot, who waits, and who is next."""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from ..options import PoolOptions
from .counters import Counters, Reason, StateKind
from .holder import Holder, nobody
from .server_limit import ServerLimit
from .slot import Request, Slot, State
from .stats import METRICS
from .use_by_task import UseByTask
from .waiters import Waiters


def _none() -> int:
    return 0


class PoolState:
    """Who has which server connection of the pool, and who waits for one.

    Every decision is made here, in memory, without I/O and without waiting. The pool calls each method with its lock
    held. Numbers are derived from the slots, never stored beside them.

    An exception may arrive between any two steps. The slots and the waiting requests are the record; everything else is
    kept for speed, and ``repair.py`` rebuilds it then.

    :param options: limits and times, see PoolOptions.
    :param tell: called when a holder or an owner is gone that may still have a slot.
    :param clock: monotonic seconds.
    """

    def __init__(self, options: PoolOptions, tell: Callable[[], object], clock: Callable[[], float]) -> None:
        self.options = options
        self.limit = options.MAX_CONNS
        self.closed = False
        #: All slots, whatever their state: as many connections as the server may count.
        self.slots: set[Slot] = set()
        self.by_connection: dict[Any, Slot] = {}
        #: Last in, first out: the last used is on the right, so that surplus connections reach their idle timeout.
        self.idle: deque[Slot] = deque()
        self.waiting = Waiters()
        #: Requests answered in a thread that can't wake them: the housekeeper does, or they poll.
        self.unheard: deque[Request] = deque()
        #: Returns how many connections the predecessor pools still have.
        self.count_predecessors: Callable[[], int] = _none
        #: Called when a slot of a closed pool is gone.
        self.on_slot_closed: Callable[[], object] = _none
        self.server = ServerLimit(clock)
        self.counters = Counters(METRICS)
        self.uses = UseByTask()
        self._tell = tell
        self.clock = clock
        #: Stands in for a holder while a slot is renewed.
        self.renewal_request = Request(nobody(), None, None)

    # Lending

    def ask(self, request: Request) -> None:
        """Lend a slot to a request, or queue it, or refuse it."""
        if request.owner is not None:
            request.owner.ask(request, self._tell)
        if not self.lend(request):
            self._queue(request)

    def _queue(self, request: Request) -> None:
        """Queue a request, unless its time is over or the pool is closed."""
        if self.closed or request.has_expired(self.clock()):
            request.gate = None
            self.record_wait(request)
        else:
            request.close_gate()
            request.is_first = not self.waiting
            self.waiting.add(request)

    def lend(self, request: Request) -> bool:
        """Lend a slot, with a connection or room for one; False if others asked before, or there is none."""
        if self.closed or (self.waiting and next(iter(self.waiting)).ticket < request.ticket):
            return False
        if self.idle:
            slot = self.idle[-1]
        elif self._count() < self.limit and self.server.may_connect(
            *self._sizes(), self._count(), can_wait=request.timeout != 0
        ):
            slot = request.slot = Slot(request)
            self.slots.add(slot)
        else:
            return False
        request.holder.slots[slot] = self._tell
        slot.lend_to(request, self.clock())
        if slot.was_lent_open:
            self.idle.pop()
        return True

    def _count(self) -> int:
        return len(self.slots) + self.count_predecessors()

    def _count_in(self, state: State) -> int:
        return sum(slot.state is state for slot in self.slots)

    def _sizes(self) -> tuple[int, int]:
        """Return how many connections are open or being opened, and how many of these are being opened."""
        now = self.clock()
        counted = [slot for slot in self.slots if slot.state is not State.CLOSING and not slot.is_stalled(now)]
        return len(counted), sum(slot.state is State.CONNECTING for slot in counted)

    def dispatch(self) -> None:
        """Give what is free to the longest waiters; the only place that does."""
        while self.waiting:
            request = next(iter(self.waiting))
            if not request.holder.has_ended:
                if not self.lend(request):
                    return
                self.hand_over(request)
            self.waiting.remove(request)
            if not self.idle and len(self.slots) >= self.limit:
                return  # Nearly always after one: no need to ask for the next.

    def hand_over(self, request: Request) -> None:
        """Wake a request that has been given a slot."""
        if request.slot is not None and request.slot.connection is not None:
            self.record_wait(request)  # Else it must connect first, and may have to wait again.
        self._answer(request)

    def _answer(self, request: Request, error: Exception | None = None) -> None:
        if not request.answer(error):
            self.unheard.append(request)

    def wake_unheard(self) -> None:
        """Wake the waiters of the main hub that were answered in another thread. Called in that hub."""
        while self.unheard:
            self.unheard[0].wake()
            self.unheard.popleft()

    def expire(self, now: float) -> None:
        """Wake the waiters whose time is over, without a slot."""
        while (request := self.waiting.first_to_give_up()) is not None and request.has_expired(now):
            self.record_wait(request)
            self._answer(request)
            self.waiting.remove(request)

    def record_wait(self, request: Request) -> None:
        """Record how long a request has waited, once, when it is served for good or given up."""
        if request.since is not None:
            self.uses.of(request).wait_time.record(self.clock() - request.since)
            request.since = None

    def waiting_since(self) -> float | None:
        """Return since when the longest waiter has waited (monotonic seconds); None if nobody waits."""
        return next((request.since for request in self.waiting), None)

    def withdraw(self, request: Request) -> Slot | None:
        """Take a request out of the queue, and its slot back; return the slot if it is to be closed."""
        if request in self.waiting:
            self._answer(request)  # Another greenlet or thread may be the one that waits.
            self.waiting.remove(request)
        self.record_wait(request)
        slot = request.held
        if slot is None:
            return None
        if slot.state is State.IN_USE and not request.is_received:
            to_close = self.take_back(slot, request, None)  # Its connection is untouched.
        else:
            to_close = self.evict(slot, "broken")
        return slot if to_close else None

    def requeue(self, request: Request, error: BaseException) -> Slot | None:
        """Queue a request that found the server full, in its old place; return its slot if it is to be closed."""
        request.full_error = error.with_traceback(None)
        self.server.refused(len(self.by_connection), self.limit)
        slot = request.held
        to_close = slot is not None and self.evict(slot, "broken", dispatch=False)
        request.slot = None
        self._queue(request)
        self.dispatch()  # One of our own may have come back meanwhile.
        return slot if to_close else None

    def count_pins(self, kinds: Iterable[StateKind], request: Request | None) -> None:
        """Count that a connection stays with its holder, for session state of these kinds."""
        for kind in kinds:
            self.counters.count("pinned", kind)
        if request is not None:
            self.uses.of(request).pinned += 1

    def reassign(self, request: Request, holder: Holder) -> None:
        """Make a request's slot another holder's."""
        slot, before = request.held, request.holder
        if slot is not None and before is not holder:
            holder.slots[slot] = self._tell
            request.holder = holder
            before.slots.pop(slot, None)

    # What becomes of a lent slot: its connection opened, the slot taken back, evicted, closed

    def record_opening(self, slot: Slot, connection: Any) -> Slot | None:
        """Record the connection that is being opened in a slot, or None; return a slot to be closed, if any.

        None says that there is nothing to close any more. If an earlier attempt has left its connection, that gets a
        slot of its own, and so counts until it is closed.
        """
        left = None
        if slot.connection is not None and connection is not None:
            left = Slot(None)
            left.connection, left.reason, left.since = slot.connection, "broken", self.clock()
            left.state = State.CLOSING
            self.slots.add(left)
        slot.connection = connection
        return left

    def record_opened(self, slot: Slot, connection: Any, seconds: float) -> None:
        """Record that a slot's connection is open, and how long that took."""
        slot.connection = connection
        slot.since = self.clock()
        lifetime = self.options.CONN_MAX_LIFETIME
        if lifetime is not None:
            # Connections that were opened together should not all be replaced together.
            slot.expires_at = slot.since + lifetime * random.uniform(0.9, 1)
        self.by_connection[connection] = slot
        slot.state = State.IN_USE
        self.counters.count("connects")
        self.counters.histograms["create_time"].record(seconds)
        self.server.connected()
        if self.clock() < self.server.fleet.look_at(len(self.slots), len(self.waiting), self.limit):
            self.dispatch()  # Others may connect now; else after the look, which says how many.

    def _why_not_keep(self, slot: Slot) -> Reason | None:
        """Return why a slot that comes back with a sound connection is not to be lent again; None if it is."""
        if self.closed:
            return "shutdown"
        # This runs at each return: the slots are counted by state only if there are too many of them.
        if ((len(self.slots) > self.limit or self.count_predecessors is not _none) and self._excess() > 0) or not (
            self.waiting or len(self.idle) < self.options.reuse_conns
        ):
            return "surplus"
        # What the pool has used itself is renewed by the housekeeper, which knows of MIN_CONNS.
        is_old = slot.expires_at is not None and slot.expires_at <= self.clock()
        if is_old and slot.request is not self.renewal_request:
            return "lifetime"
        if len(self.slots) > self.server.fleet.target:
            counted = (each for each in self.slots if not each.is_stalled(self.clock()))
            busy = sum(each.request not in (None, self.renewal_request) for each in counted)
            return "yielded" if self.server.begin_to_yield(busy, self._sizes()[0] - 1) else None
        return None

    def _excess(self) -> int:
        """Return how many connections are open above the limit, without those being closed; 0 or less for none."""
        excess = self._count() - self.limit
        return excess if excess <= 0 else excess - self._count_in(State.CLOSING)

    def take_back(self, slot: Slot, request: Request, reason: Reason | None) -> bool | None:
        """Take a slot back from a request, and put it idle, lend it to the next, or evict it.

        :param reason: why its connection is to be closed; None if it is fit to be lent again.
        :return: whether there is a connection to close; None if the request doesn't have the slot any more.
        """
        if slot.request is not request:
            return None
        reason = reason or self._why_not_keep(slot)
        if reason is not None:
            return self.evict(slot, reason)
        slot.state = State.IDLE
        slot.request = None
        request.holder.slots.pop(slot, None)
        if request is not self.renewal_request:
            now = self.clock()
            self.uses.of(request).use_time.record(now - slot.since)
            slot.since = now
        self.idle.append(slot)
        if self.waiting:
            self.dispatch()
        return False

    def evict(self, slot: Slot, reason: Reason, *, dispatch: bool = True) -> bool:
        """Take a slot from whoever has it, to be closed; return whether there is a connection to close."""
        request, now = slot.request, self.clock()
        was_connecting, was_used = slot.state is State.CONNECTING, slot.state is State.IN_USE or slot.was_lent_open
        slot.reason = reason
        slot.state = State.CLOSING
        slot.request = None
        if request is not None:
            request.holder.slots.pop(slot, None)
            self.uses.of(request).killed += reason == "killed"
            if was_used and request is not self.renewal_request:
                self.uses.of(request).use_time.record(now - slot.since)
        self._forget(slot, reason)
        slot.since = now
        if slot.connection is None:
            self.slot_closed(slot, dispatch=dispatch)
        elif was_connecting and dispatch:
            self.dispatch()  # Another may connect in its place.
        return slot.connection is not None

    def record_replacing(self, slot: Slot, reason: Reason) -> None:
        """Record that a slot's connection is closed, and another will be opened."""
        slot.state = State.CONNECTING
        self._forget(slot, reason)
        slot.connection = slot.expires_at = None

    def _forget(self, slot: Slot, reason: Reason) -> None:
        """Count a slot's connection as closed, if it was opened."""
        if self.by_connection.pop(slot.connection, None) is not None:
            self.counters.count("closed", reason)

    def begin_to_close(self, slot: Slot) -> bool:
        """Claim the closing of a slot's connection; False if it is closed, or somebody else is closing it."""
        if slot not in self.slots or slot.state is not State.CLOSING or slot.is_being_closed:
            return False
        slot.is_being_closed = True
        return True

    def connection_closed(self, slot: Slot, was_interrupted: bool) -> None:
        """Record that an evicted slot's connection is closed, and whether its holder was interrupted in using it."""
        if was_interrupted:
            self.counters.count("cancelled")
        self.slot_closed(slot)

    def slot_closed(self, slot: Slot, *, dispatch: bool = True) -> None:
        """Record that the server has let go of a slot's connection."""
        self.slots.discard(slot)
        if slot.reason == "yielded":
            self.server.leave_to_others()
        if dispatch:
            self.dispatch()
        if self.closed:
            self.on_slot_closed()

    # Closing the pool

    def close(self, error: Callable[[], Exception]) -> list[Slot]:
        """Lend nothing any more; see ``refuse_and_evict_all``."""
        self.closed = True
        return self.refuse_and_evict_all(error)

    def refuse_and_evict_all(self, error: Callable[[], Exception]) -> list[Slot]:
        """Refuse the waiters of a closed pool, each with an error, and evict the idle slots; return those."""
        for request in list(self.waiting):
            self._answer(request, error())
            self.waiting.remove(request)
        return self.evict_idle(list(self.idle), "shutdown")

    # Idle slots: too many, all evicted, renewed

    def resize(self, options: PoolOptions) -> list[Slot]:
        """Change the limit; evict the idle slots that are too many, and return them."""
        self.options = options
        self.limit = options.MAX_CONNS
        over = max(0, min(self._excess(), len(self.idle)))
        surplus = self.evict_idle(list(itertools.islice(self.idle, over)), "surplus")
        self.dispatch()
        return surplus

    def begin_to_renew(self, slot: Slot, *, is_look: bool = False) -> Request | None:
        """Take a slot out of the idle ones, to replace or use its connection; None if it is not idle any more."""
        if slot.state is not State.IDLE or slot not in self.slots:
            return None
        slot.used_since, slot.is_look = self.clock(), is_look
        slot.request = self.renewal_request
        slot.state = State.CONNECTING
        self.idle.remove(slot)
        return self.renewal_request

    def evict_idle(self, slots: list[Slot], reason: Reason) -> list[Slot]:
        """Evict some of the idle slots, and return them."""
        for slot in slots:
            self.evict(slot, reason)
            self.idle.remove(slot)
        return slots

    def in_use(self) -> list[tuple[Slot, Request]]:
        """Return the slots whose connections are lent, each with the request that has it."""
        return [(slot, slot.request) for slot in self.slots if slot.state is State.IN_USE and slot.request is not None]
