"""The one module that reaches into pools, for what the public interface doesn't show, or can't do in time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from django_geventpool import here, pools
from django_geventpool.pool import Pool, kinship
from django_geventpool.pool import holder as holders
from django_geventpool.pool.closer import Closer
from django_geventpool.pool.holder import Holder
from django_geventpool.pool.housekeeper import Housekeeper
from django_geventpool.pool.idle_watch import IdleWatch
from django_geventpool.pool.nested import Nested
from django_geventpool.pool.slot import Slot
from django_geventpool.pool.state import PoolState
from django_geventpool.pool.upkeep import Upkeep
from django_geventpool.registry import Pools

# The pool's parts


def state(pool: Pool) -> PoolState:
    """Return the pool's state itself."""
    return pool._state


def slots(pool: Pool) -> list[Slot]:
    """Return the slots that the pool has now."""
    return list(pool._state.slots)


def keep_slots_in(pool: Pool, slots: Any) -> None:
    """Let a new pool keep its slots in a set of the test's."""
    pool._state.slots = slots


def slot_of(pool: Pool, connection: Any) -> Slot:
    """Return the slot of a connection that is lent."""
    return pool._state.by_connection[connection]


def upkeep(pool: Pool) -> Upkeep:
    return pool._upkeep


def closer(pool: Pool) -> Closer:
    return pool._closer


def idle_watch(pool: Pool) -> IdleWatch:
    """Return what looks at lent connections."""
    return pool._alarms._idle_watch


def standstill_alarm(pool: Pool) -> Nested:
    """Return the pool's alarm for nested checkouts."""
    return pool._alarms._nested


def count_of_predecessors(pool: Pool) -> int:
    """Return how many predecessors the pool has."""
    return len(pool._predecessors.before)


# The pool's lock


def under_lock(owner: Pool | Pools, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function while the lock of a pool, or of the registry, is held."""
    return owner._lock.run(function, *arguments)


def is_lock_mine(pool: Pool) -> bool:
    return pool._lock.is_mine()


# The pool's housekeeper


def housekeeper(pool: Pool) -> Housekeeper:
    return pool._housekeeper


def keep_house(pool: Pool) -> None:
    """Do what is due, in the current greenlet or thread."""
    pool._keep_house()


def wakes_at(pool: Pool) -> float:
    """Return when the housekeeper will look next (monotonic seconds); 0 before its first look."""
    return pool._wakes_at


def is_housekeeper_settled(pool: Pool) -> bool:
    """Return whether the housekeeper runs, or isn't about to."""
    return not pool._housekeeper._gate.locked() or pool._housekeeper.is_running


def locks_of_housekeeper(pool: Pool) -> tuple[object, ...]:
    return pool._housekeeper._duty, pool._housekeeper._gate


def when_housekeeper_ends(pool: Pool, tell: Callable[[], object]) -> None:
    """Call a function at the end of a housekeeper that starts after this."""
    run = pool._housekeeper._run
    pool._housekeeper._run = lambda: (run(), tell())  # type: ignore[assignment,method-assign]


def next_report_of_abandoned(pool: Pool) -> float:
    """Return when abandoned connections are to be reported (monotonic seconds); infinity for none."""
    return pool._alarms._abandoned.due_at()


def next_alarm(pool: Pool) -> float:
    """Return when the next warning is due while nobody waits (monotonic seconds); infinity for never."""
    return pool._alarms.due_at(None)


# The pool's times


def end_lifetimes(pool: Pool) -> None:
    """Let all connections of a pool reach their lifetimes now, and the housekeeper look."""
    for slot in slots(pool):
        slot.expires_at = 0.0
    pool.wake()


def end_backoff(pool: Pool, *, wake: bool = True) -> None:
    """End the pause after a refusal, and wake the housekeeper unless told not to."""
    pool._state.server.retry_at = 0.0
    if wake:
        pool.wake()


def probe_full_server_at(pool: Pool, when: float) -> None:
    """Set from when on a connection that comes back is used to ask whether the server is full."""
    pool._state.server.share.probe_at = when


def have_look_due(pool: Pool) -> None:
    """Let the next look at the server's session list be due now."""
    fleet = pool._state.server.fleet
    fleet.soon = fleet._next = 0.0


def give_up_the_list(pool: Pool) -> None:
    """Let a pool have found that the server's session list can't be read."""
    pool._state.server.fleet.is_readable = False


# Holders, waiters and drivers


def life_of(holder: Holder) -> object:
    """Return an object that tells a holder when it ends, as it would with what a greenlet or thread has for itself."""
    return holders._Life(holder)


def forget_holders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no greenlet or thread be known as a holder yet, for one test."""
    monkeypatch.setattr(here, "_getters", {})


def waited_for(frame: Any) -> Iterable[object]:
    """Return the threads and greenlets that a frame refers to."""
    return kinship._waited_for(frame)


def count_on_server(connection: Any) -> int:
    """Return how many server-side cursors a driver's connection has recorded."""
    return len(connection._on_server)


# The registry


def forget_pool(alias: str) -> None:
    """Remove an alias's pool, whatever state it is in."""
    pools._entries.pop(alias, None)
    pools._closed.pop(alias, None)
