"""The simulation can fail: if the pool forgets something that it must do, it says so within a part of its steps."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from django_geventpool.pool.closer import Closer
from django_geventpool.pool.server_limit import ServerLimit
from django_geventpool.pool.slot import Request
from django_geventpool.pool.state import PoolState
from django_geventpool.pool.upkeep import Upkeep
from django_geventpool.pool.waiters import Waiters

from .run import Failure, simulate

#: Of the million steps that a run of the suite takes.
STEPS = 600_000

Patch = Callable[[pytest.MonkeyPatch], None]


def without_waiters(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method of the state that sees nobody wait."""

    def blind(state: PoolState, *arguments: Any, **options: Any) -> Any:
        waiting, state.waiting = state.waiting, Waiters()
        try:
            return method(state, *arguments, **options)
        finally:
            state.waiting = waiting

    return blind


def what_comes_back_goes_to_nobody(patches: pytest.MonkeyPatch) -> None:
    patches.setattr(PoolState, "take_back", without_waiters(PoolState.take_back))


def what_is_closed_makes_no_room(patches: pytest.MonkeyPatch) -> None:
    patches.setattr(PoolState, "slot_closed", without_waiters(PoolState.slot_closed))


def newcomers_overtake(patches: pytest.MonkeyPatch) -> None:
    lend, blind = PoolState.lend, without_waiters(PoolState.lend)
    patches.setattr(
        PoolState, "lend", lambda state, request: (lend if request in state.waiting else blind)(state, request)
    )


def what_is_being_closed_does_not_count(patches: pytest.MonkeyPatch) -> None:
    patches.setattr(PoolState, "_count", lambda state: state._size() + state.count_predecessors())  # noqa: SLF001


def what_was_replaced_does_not_count(patches: pytest.MonkeyPatch) -> None:
    patches.setattr(PoolState, "_count", lambda state: len(state.slots))


def what_was_given_to_the_interrupted_is_lost(patches: pytest.MonkeyPatch) -> None:
    withdraw = PoolState.withdraw

    def forgetful(state: PoolState, request: Request) -> Any:
        return withdraw(state, request) if request.held is None or request.is_received else None

    patches.setattr(PoolState, "withdraw", forgetful)


def the_refused_go_last(patches: pytest.MonkeyPatch) -> None:
    def add(waiters: Waiters, request: Request) -> None:
        waiters._deadlines.add(request)  # noqa: SLF001
        waiters[request] = None

    patches.setattr(Waiters, "add", add)


def nobody_ends_the_waits(patches: pytest.MonkeyPatch) -> None:
    patches.setattr(PoolState, "expire", lambda state, now: None)


def nobody_looks_after_the_ended(patches: pytest.MonkeyPatch) -> None:
    patches.setattr(Upkeep, "abandoned", lambda upkeep: [])


def nobody_closes_for_the_killed(patches: pytest.MonkeyPatch) -> None:
    patches.setattr(Upkeep, "forgotten", lambda upkeep, now: [])


def room_is_free_before_the_server_lets_go(patches: pytest.MonkeyPatch) -> None:
    patches.setattr(Closer, "close_connection", lambda closer, connection: None)


def nobody_plans_the_next_attempt(patches: pytest.MonkeyPatch) -> None:
    patches.setattr(ServerLimit, "next_wake", lambda limit, now: float("inf"))


@pytest.mark.parametrize(
    "breaks",
    [
        what_comes_back_goes_to_nobody,
        what_is_closed_makes_no_room,
        newcomers_overtake,
        what_is_being_closed_does_not_count,
        what_was_replaced_does_not_count,
        what_was_given_to_the_interrupted_is_lost,
        the_refused_go_last,
        nobody_ends_the_waits,
        nobody_looks_after_the_ended,
        nobody_closes_for_the_killed,
        room_is_free_before_the_server_lets_go,
        nobody_plans_the_next_attempt,
    ],
    ids=lambda breaks: breaks.__name__,
)
def test_a_broken_pool_is_found_out(breaks: Patch, monkeypatch: pytest.MonkeyPatch) -> None:
    breaks(monkeypatch)
    taken = 0
    for seed in itertools.count(1):
        try:
            taken += simulate(seed).steps
        except Failure as failure:
            print(f"after {taken + failure.step} steps: {failure.__cause__}")
            break
        assert taken < STEPS, "nobody has noticed"


def test_a_failure_says_how_to_repeat_it(monkeypatch: pytest.MonkeyPatch) -> None:
    newcomers_overtake(monkeypatch)
    with pytest.raises(Failure, match=r"python -m tests\.simulation --seed 1 --steps 5000") as first:
        simulate(1, 5000)
    with pytest.raises(Failure) as second:
        simulate(1, 5000)
    assert str(first.value) == str(second.value)
