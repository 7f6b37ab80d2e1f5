"""The invariants of the pool's state after each step."""

from __future__ import annotations

from hypothesis.stateful import RuleBasedStateMachine, invariant

from django_geventpool.pool.holder import Holder
from django_geventpool.pool.slot import Request, Slot, State
from django_geventpool.pool.snapshots import snapshot
from django_geventpool.pool.state import PoolState
from django_geventpool.pool.upkeep import Upkeep


class LawfulState(RuleBasedStateMachine):
    """A pool's state, beside a model of what must be in it after the steps so far."""

    state: PoolState
    upkeep: Upkeep

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        #: Requests that were given a slot and have not woken up yet, in the order of the giving.
        self.answered: list[Request] = []
        #: Slots whose holder is connecting, with the request.
        self.connecting: dict[Slot, Request | None] = {}
        #: Slots that are lent with an open connection.
        self.lent: dict[Slot, Request] = {}
        #: Slots whose connection is being closed.
        self.closing: list[Slot] = []
        #: Requests that wait, in the order in which they asked.
        self.queue: list[Request] = []
        self.gone: list[Holder] = []
        self.steps = 0
        self.checkouts = 0
        #: When the housekeeper last looked.
        self.looked_at = self.now

    @invariant()
    def steps_are_counted(self) -> None:
        """Count the steps, as some are taken less often than others."""
        self.steps += 1

    @invariant()
    def no_more_slots_than_the_limit_but_for_a_smaller_one(self) -> None:
        kept = sum(slot.state is not State.CLOSING for slot in self.state.slots)
        if kept > self.state.limit:
            assert not self.state.idle, "a connection too many is idle"
        assert len(self.state.slots) - self.state.limit <= 4

    @invariant()
    def each_slot_is_accounted_for(self) -> None:
        promised = [request.held for request in self.answered if request.held is not None]
        reclaimed = self.upkeep.abandoned()
        known = [*self.state.idle, *self.lent, *self.connecting, *self.closing, *promised, *reclaimed]
        assert len(known) == len(set(known)), "a slot is in two hands"
        assert set(known) == self.state.slots, "a slot is lost"

    @invariant()
    def each_slot_is_in_the_state_that_it_says(self) -> None:
        assert all(slot.state is State.IDLE and slot.connection is not None for slot in self.state.idle)
        assert all(slot.state is State.IN_USE for slot in self.lent)
        assert all(slot.state is State.CLOSING for slot in self.closing)
        assert all(slot.state is State.CONNECTING for slot in self.connecting)

    @invariant()
    def connections_are_known_by_their_slot(self) -> None:
        open_slots = [slot for slot in self.state.slots if slot.state in (State.IDLE, State.IN_USE)]
        assert self.state.by_connection == {slot.connection: slot for slot in open_slots}

    @invariant()
    def holders_hold_what_is_lent_to_them_and_nothing_else(self) -> None:
        for slot in self.state.slots:
            assert (slot.holder is not None) == (slot not in self.closing and slot not in self.state.idle)
            # A connection that is being renewed has a holder that never ends, and that need not know its slots.
            if slot.holder is not None and slot.request is not self.state.renewal_request:
                assert slot in slot.holder.slots
        requests = [*self.lent.values(), *self.answered, *self.queue, *filter(None, self.connecting.values())]
        for holder in [request.holder for request in requests] + self.gone:
            assert all(slot.holder is holder for slot in holder.slots)

    @invariant()
    def those_who_wait_wait_in_the_order_of_their_asking(self) -> None:
        assert list(self.state.waiting) == self.queue
        tickets = [request.ticket for request in self.queue]
        assert tickets == sorted(tickets)

    @invariant()
    def nobody_waits_for_what_is_there(self) -> None:
        if self.queue:
            assert not self.state.idle
            # At least one request is connecting, and more will follow.
            is_tried = (
                sum(slot.state is State.CONNECTING for slot in self.state.slots)
                >= self.state.server.max_connecting
                >= 1
            )
            assert len(self.state.slots) >= self.state.limit or self.looked_at < self.state.server.retry_at or is_tried

    @invariant()
    def a_closed_pool_lends_nothing(self) -> None:
        if self.state.closed:
            assert not self.state.idle
            assert not self.queue

    @invariant()
    def the_numbers_add_up(self) -> None:
        stats = snapshot(self.state)
        assert stats.size == stats.in_use + stats.idle + stats.connecting + stats.closing == len(self.state.slots)
        assert stats.waiting == len(self.queue)
        assert stats.connects == sum(stats.closed.values()) + len(self.state.by_connection)
        assert stats.checkouts >= max(stats.use_time.count + stats.in_use, self.checkouts), "a counter went down"
        self.checkouts = stats.checkouts
