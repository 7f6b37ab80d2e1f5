"""When a pool looks whether others want its connections."""

from __future__ import annotations

import random

import pytest

from django_geventpool.pool.turns import FULL_FOR, IDLE_AT_FULL_SERVER, PROBE_INTERVAL, TURN, Turns


class Clock:
    """Time that stands still."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(random, "uniform", lambda low, high: (low + high) / 2)
    return Clock()


def pause_of(turns: Turns, clock: Clock, size: int) -> float:
    """How long it takes from one turn to the next."""
    began = clock.now
    while not turns.is_over(size):
        clock.now += 0.125
    return clock.now - began


def test_as_long_as_nobody_is_refused_it_looks_more_and_more_seldom(clock: Clock) -> None:
    least, most = PROBE_INTERVAL
    turns = Turns(clock)
    assert [pause_of(turns, clock, 10) for _ in range(3)] == [least, least, 2 * least]
    for _ in range(3):
        pause_of(turns, clock, 10)
    assert pause_of(turns, clock, 10) == most
    turns.refused(10)
    pause_of(turns, clock, 10)
    turns.step_aside()
    pause_of(turns, clock, 10)
    # It begins anew after it has found somebody else there.
    assert pause_of(turns, clock, 10) == least


def test_the_more_connections_a_pool_has_the_shorter_are_its_turns_once_others_want_them(clock: Clock) -> None:
    turns = Turns(clock)
    turns.refused(8)
    assert pause_of(turns, clock, 8) == TURN / 8
    assert pause_of(turns, clock, 4) == TURN / 8
    assert pause_of(turns, clock, 4) == TURN / 4


def test_when_nobody_took_what_was_given_up_it_looks_more_seldom_again(clock: Clock) -> None:
    turns = Turns(clock)
    turns.refused(16)
    pause_of(turns, clock, 16)
    turns.step_aside()
    pause_of(turns, clock, 16)
    assert pause_of(turns, clock, 16) == PROBE_INTERVAL[0]
    assert pause_of(turns, clock, 16) == 2 * PROBE_INTERVAL[0]
    turns.refused(16)
    assert pause_of(turns, clock, 16) == TURN / 16


def test_when_the_server_has_not_been_full_for_long_it_looks_seldom_again(clock: Clock) -> None:
    turns = Turns(clock)
    turns.refused(16)
    clock.now += FULL_FOR
    assert turns.is_over(16)
    assert pause_of(turns, clock, 16) == TURN / 16
    assert pause_of(turns, clock, 16) == PROBE_INTERVAL[0]


def test_the_only_connection_is_never_given_up(clock: Clock) -> None:
    turns = Turns(clock)
    turns.refused(1)
    clock.now += 1000
    assert not turns.is_over(1)
    assert turns.is_over(2)


@pytest.mark.parametrize(("usual", "shorter"), [(60.0, IDLE_AT_FULL_SERVER), (1.0, 1.0), (None, IDLE_AT_FULL_SERVER)])
def test_for_a_while_connections_of_a_full_server_are_not_kept_idle(
    clock: Clock, usual: float | None, shorter: float
) -> None:
    turns = Turns(clock)
    assert turns.idle_timeout(usual) == usual
    turns.refused(1)
    clock.now += FULL_FOR
    assert turns.idle_timeout(usual) == shorter
    clock.now += 1
    assert turns.idle_timeout(usual) == usual
    turns.step_aside()
    assert turns.idle_timeout(usual) == shorter
