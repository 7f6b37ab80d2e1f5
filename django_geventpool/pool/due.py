"""The housekeeper's work: begun in memory, under the pool's lock; the rest is collected, and done without it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from traceback import StackSummary

from .. import green
from .alarms import Alarms, Observed
from .returns import Deferred
from .slot import Slot
from .state import PoolState
from .upkeep import Upkeep


@dataclass(frozen=True)
class Due:
    """What the housekeeper has to do without the lock."""

    #: Slots that are evicted already.
    to_close: list[Slot]
    to_renew: list[Slot]
    #: An idle slot to read the server's session list with.
    to_look: Slot | None
    #: Names of holders that ended.
    abandoned: list[str]
    #: Names of holders that have held a connection for too long, and where they took it.
    overdue: list[tuple[str, StackSummary | None]]
    #: What there is to warn of.
    observed: Observed


def begin_due_work(
    state: PoolState, upkeep: Upkeep, alarms: Alarms, deferred: Deferred, closed_error: Callable[[], Exception]
) -> tuple[Due, float]:
    """Do what is due in memory, under the lock.

    :param deferred: what came back in the middle of the pool's own work.
    :param closed_error: makes an error for those who still wait for a connection of a closed pool.
    :return: what is to be done without the lock, and when to look again (monotonic seconds).
    """
    now = time.monotonic()
    to_close = []
    while deferred:
        slot, request, reason = deferred[0]
        if state.take_back(slot, request, reason):
            to_close.append(slot)
        deferred.popleft()
    if state.closed:
        to_close += state.refuse_and_evict_all(closed_error)
    abandoned = []
    for slot in upkeep.abandoned():
        abandoned.append(slot.who())
        state.counters.count("reclaimed")
        if state.evict(slot, "reclaimed"):
            to_close.append(slot)
    to_close += [slot for slot in upkeep.lost_in_a_look(now) if state.evict(slot, "broken")]
    outdated, to_renew = upkeep.evict_outdated(now)
    to_close += [*outdated, *upkeep.forgotten(now)]
    to_look = upkeep.slot_to_look_with(now, to_renew)
    overdue = [(slot.who(), slot.request.stack) for slot in upkeep.mark_overdue(now) if slot.request is not None]
    state.dispatch()
    observed = alarms.observe(now)
    state.expire(now)
    if state.unheard and green.is_in_main_hub():
        state.wake_unheard()
    look_again = min(upkeep.next_wake(now), alarms.due_at(state.waiting_since()))
    return Due(to_close, to_renew, to_look, abandoned, overdue, observed), look_again
