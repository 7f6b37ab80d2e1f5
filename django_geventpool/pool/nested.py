"""Nested checkouts: holders that wait for greenlets or threads which wait for a connection themselves."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from . import kinship, naming
from .driver import Driver
from .slot import Request, Slot, State
from .state import PoolState

#: How often the pool looks for a standstill while somebody waits and nothing moves, in seconds. Two looks must agree.
LOOK_EVERY = 0.4

#: The largest part of its time that the pool spends on these looks.
SHARE = 0.02


@dataclass(frozen=True)
class Standstill:
    """All connections are held, idle, by those whose own greenlets or threads wait for one."""

    #: How many connections there are.
    limit: int
    #: The kinds of holders, and how many there are of each.
    holders: Counter[str]
    #: How many waiters have yet to get their first connection.
    to_come: int
    #: When it was last seen (monotonic seconds).
    seen: float

    @property
    def needed(self) -> int:
        """How many connections would have kept things moving."""
        return self.limit + self.to_come + 1

    def __str__(self) -> str:
        names = ", ".join(f"{name} ({count})" for name, count in self.holders.most_common(3))
        several = f"all {self.limit} connections are held by tasks that are in no query and wait"
        one = "the only connection is held by a task that is in no query and waits"
        start = one if self.limit == 1 else several
        return f"{start} for greenlets or threads of their own, which wait for a connection themselves: {names}"


@dataclass(frozen=True)
class Scene:
    """Who holds and who waits, when nothing has moved for a while."""

    slots: Sequence[tuple[Slot, float]]
    connections: Sequence[Any]
    who: Sequence[str]
    holders: Sequence[Any]
    waiters: Sequence[Any]


class Nested:
    """The search for standstills, in which all holders wait for waiters. Costs nothing while nobody waits.

    :param driver: says what the connections are doing.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._wakes_at = -math.inf
        self._pause = LOOK_EVERY
        self._suspects: Sequence[tuple[Slot, float]] = ()
        #: The last standstill, which may be over.
        self.last: Standstill | None = None

    def due_at(self, since: float | None) -> float:
        """Return when to look (monotonic seconds), given since when somebody has waited; infinite for None."""
        return math.inf if since is None else max(since + LOOK_EVERY, self._wakes_at)

    def observe(self, state: PoolState, now: float) -> Scene | None:
        """Return who holds and who waits, if a look is due and nothing has moved. Called under the pool's lock."""
        since = state.waiting_since()
        if since is None:
            self._suspects = ()
        if self.due_at(since) > now:
            return None
        self._wakes_at = now + self._pause
        slots = list(state.slots)
        if len(slots) < state.limit or any(_has_moved(slot, now) for slot in slots):
            self._suspects = ()
            return None
        return Scene(
            [(slot, slot.since) for slot in slots],
            [slot.connection for slot in slots],
            [slot.who() for slot in slots],
            [_running(slot.holder) for slot in slots],
            [_running(request.holder) for request in state.waiting],
        )

    def judge(self, scene: Scene) -> Standstill | None:
        """Return the standstill that a scene shows, None if none; called without the lock, as it takes a while."""
        began = time.monotonic()
        is_one, children = self._is_standstill(scene)
        self._pause = max(LOOK_EVERY, (time.monotonic() - began) / SHARE)
        suspects, self._suspects = self._suspects, scene.slots if is_one else ()
        if not is_one or not set(scene.slots) <= set(suspects):
            return None
        to_come = sum(waiter is None or id(waiter) not in children for waiter in scene.waiters)
        self.last = Standstill(len(scene.slots), Counter(map(naming.kind, scene.who)), to_come, began)
        return self.last

    def _is_standstill(self, scene: Scene) -> tuple[bool, set[int]]:
        """Return whether all holders wait for waiters, and the ids of those waiters."""
        holders = [holder for holder in scene.holders if holder is not None]
        if len(holders) < len(scene.slots) or any(map(self._is_in_query, scene.connections)):
            return False, set()
        waiters = [waiter for waiter in scene.waiters if waiter is not None]
        # Holders that wait for no waiter may be busy with other things, for however long.
        parents, children = kinship.parents_of(waiters, holders)
        return parents.issuperset(map(id, holders)), children

    def _is_in_query(self, connection: Any) -> bool:
        return self._driver.state(connection) == "active"

    def current(self, now: float) -> Standstill | None:
        """Return the standstill that was seen at the last look or two; None if there was none."""
        return None if self.last is None or now - self.last.seen > 3 * LOOK_EVERY else self.last

    def met_by(self, request: Request, now: float) -> Standstill | None:
        """Return the standstill in which a request ran out of time, None if there was none."""
        last = self.current(now)
        if last is None or request.timeout is None or request.deadline is None:
            return None
        return last if last.seen >= request.deadline - request.timeout else None


def holder_above(request: Request, state: PoolState) -> Slot | None:
    """Return the slot held by the greenlet or thread that asks, or by one that started it; None if there is none."""
    asking = _running(request.holder)
    if asking is None:
        return None
    held = {id(_running(slot.holder)): slot for slot in state.slots if slot.state is State.IN_USE}
    return next((held[id(one)] for one in kinship.ancestors(asking) if id(one) in held), None)


def _has_moved(slot: Slot, now: float) -> bool:
    return slot.state is not State.IN_USE or now - slot.since < LOOK_EVERY


def _running(holder: Any) -> Any:
    return None if holder is None or holder.runner is None else holder.runner()
