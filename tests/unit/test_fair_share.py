"""When a pool probes whether others want its connections."""

from __future__ import annotations

import pytest

from django_geventpool.pool.server_limit import (
    FULL_FOR,
    IDLE_AT_FULL_SERVER,
    PROBE_INTERVAL,
    PROBE_INTERVAL_OF_ONE,
    TIME_SLICE,
    FairShare,
    ServerLimit,
)


class Clock:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def share(clock: Clock) -> FairShare:
    return FairShare(clock, lambda low, high: (low + high) / 2)


def pause_of(share: FairShare, clock: Clock, size: int) -> float:
    """Return the time from one probe to the next."""
    began = clock.now
    while not share.begin_probe_if_due(size):
        clock.now += 0.125
    return clock.now - began


def test_as_long_as_nobody_is_refused_it_looks_more_and_more_seldom(clock: Clock, share: FairShare) -> None:
    least, most = PROBE_INTERVAL
    assert [pause_of(share, clock, 10) for _ in range(3)] == [least, least, 2 * least]
    for _ in range(3):
        pause_of(share, clock, 10)
    assert pause_of(share, clock, 10) == PROBE_INTERVAL_OF_ONE / 10
    for _ in range(2):
        pause_of(share, clock, 2)
    assert pause_of(share, clock, 2) == most
    share.refused(10)
    pause_of(share, clock, 10)
    share.record_yield()
    pause_of(share, clock, 10)
    # After a probe that found others waiting, the pause is the shortest again.
    assert pause_of(share, clock, 10) == least


def test_the_more_connections_a_pool_has_the_shorter_are_its_time_slices_once_others_want_them(
    clock: Clock, share: FairShare
) -> None:
    share.refused(8)
    assert pause_of(share, clock, 8) == TIME_SLICE / 8
    assert pause_of(share, clock, 4) == TIME_SLICE / 8
    assert pause_of(share, clock, 4) == TIME_SLICE / 4


def test_when_nobody_took_what_was_given_up_it_looks_more_seldom_again(clock: Clock, share: FairShare) -> None:
    share.refused(16)
    pause_of(share, clock, 16)
    share.record_yield()
    pause_of(share, clock, 16)
    assert pause_of(share, clock, 16) == PROBE_INTERVAL[0]
    assert pause_of(share, clock, 16) == 2 * PROBE_INTERVAL[0]
    share.refused(16)
    assert pause_of(share, clock, 16) == TIME_SLICE / 16


def test_when_the_server_has_not_been_full_for_long_it_looks_seldom_again(clock: Clock, share: FairShare) -> None:
    share.refused(16)
    clock.now += FULL_FOR
    assert share.begin_probe_if_due(16)
    assert pause_of(share, clock, 16) == TIME_SLICE / 16
    assert pause_of(share, clock, 16) == PROBE_INTERVAL[0]


def test_the_only_connection_is_never_given_up(clock: Clock, share: FairShare) -> None:
    share.refused(1)
    clock.now += 1000
    assert not share.begin_probe_if_due(1)
    assert share.begin_probe_if_due(2)


@pytest.mark.parametrize(("usual", "shorter"), [(60.0, IDLE_AT_FULL_SERVER), (1.0, 1.0), (None, IDLE_AT_FULL_SERVER)])
def test_for_a_while_connections_of_a_full_server_are_not_kept_idle(
    clock: Clock, usual: float | None, shorter: float
) -> None:
    server = ServerLimit(clock, lambda low, high: (low + high) / 2)
    assert server.idle_timeout(usual) == usual
    server.share.refused(1)
    clock.now += FULL_FOR
    assert server.idle_timeout(usual) == shorter
    clock.now += 1
    assert server.idle_timeout(usual) == usual
    server.share.record_yield()
    assert server.idle_timeout(usual) == shorter
