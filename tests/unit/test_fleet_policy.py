"""What a pool does with the session list, step by step."""

from __future__ import annotations

import dataclasses
import itertools
import math

import pytest

from django_geventpool.pool import server_limit
from django_geventpool.pool.fleet import policy
from django_geventpool.pool.fleet.badge import Badge, read
from django_geventpool.pool.fleet.census import Census, Sessions, take
from django_geventpool.pool.fleet.policy import Fleet
from django_geventpool.pool.fleet.standing import Own
from django_geventpool.pool.server_limit import ServerLimit

_sequences = itertools.count()


class Clock:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def least(low: float, high: float) -> float:
    return low


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fleet(clock: Clock) -> Fleet:
    return Fleet(clock, least, "mmmmmm")


def own(size: int, demand: int, limit: int = 10) -> Own:
    return Own(
        limit=limit,
        size=size,
        slots=size,
        opened=size,
        busy=min(size, demand),
        waiting=max(0, demand - size),
        held_for=60,
    )


def census(*pools: tuple[str, int, int], limit: int = 15) -> Census:
    """Return the list of some pools: the letter of each, its sessions and demand; each has just looked."""
    sequence = next(_sequences)
    listed = [
        Sessions(sessions, True, True, 60.0, str(Badge(letter * 6, 10, demand, sequence)))
        for letter, sessions, demand in pools
    ]
    return take([("role", limit)], listed, is_readable=True)


def look(fleet: Fleet, mine: Own, *others: tuple[str, int, int], limit: int = 15) -> None:
    fleet.begin_look(mine)
    fleet.record(census(("m", mine.size, mine.demand), *others, limit=limit), mine)


def look_as_the_oldest(fleet: Fleet, demand: int) -> None:
    """Look where three pools have one connection each, of which there are no more, and this one's is the oldest."""
    mine = own(1, demand)
    fleet.begin_look(mine)
    listed = [
        Sessions(1, True, True, age, str(Badge(letter * 6, 10, 10, next(_sequences))))
        for letter, age in (("m", 9), ("a", 1), ("b", 2))
    ]
    fleet.record(take([("role", 3)], listed, is_readable=True), mine)


def test_each_look_has_a_new_number_and_tells_the_demand(fleet: Fleet) -> None:
    first, second = read(fleet.begin_look(own(2, 5))), read(fleet.begin_look(own(2, 7)))
    assert first is not None
    assert second is not None
    assert (first.demand, second.demand) == (5, 7)
    assert second.sequence == first.sequence + 1
    assert read(fleet.badge(own(2, 9))) == Badge("mmmmmm", 10, 9, second.sequence)


def test_the_first_look_is_due_as_soon_as_somebody_waits_or_there_are_two(fleet: Fleet) -> None:
    fleet.came_in()
    assert fleet.begin_look_if_due(own(1, 1)) is None
    assert fleet.begin_look_if_due(own(1, 2)) is not None


def test_with_one_connection_the_first_look_is_later_and_a_full_server_is_watched(fleet: Fleet, clock: Clock) -> None:
    fleet.came_in()
    clock.now += policy.LONE_INTERVAL
    assert fleet.begin_look_if_due(own(1, 1)) is not None
    others = [(name, 1, 1) for name in "abcd"]
    for limit, pause in ((5, policy.CALM_INTERVAL), (6, policy.LONE_INTERVAL), (5, policy.CALM_INTERVAL)):
        look(fleet, own(1, 1), *others, limit=limit)
        clock.now += pause - 0.01
        assert fleet.begin_look_if_due(own(1, 1)) is None
        clock.now += 0.3
        assert fleet.begin_look_if_due(own(1, 1)) is not None


def test_two_looks_are_never_closer_than_half_a_second(fleet: Fleet, clock: Clock) -> None:
    look(fleet, own(7, 10), ("a", 7, 10))
    clock.now += policy.LOOK_INTERVAL - 0.001
    assert fleet.begin_look_if_due(own(7, 10)) is None
    clock.now += 0.001
    assert fleet.begin_look_if_due(own(7, 10)) is not None


def pause_after_looks(fleet: Fleet, clock: Clock, mine: Own, *others: tuple[str, int, int], limit: int) -> float:
    """Look whenever that is due, for a while; return the last pause."""
    pause = 0.0
    for _ in range(12):
        look(fleet, mine, *others, limit=limit)
        pause = fleet.look_at(mine.size, mine.waiting, mine.limit) - clock.now
        clock.now += pause
    return pause


def test_looks_are_the_rarer_the_more_room_there_is(fleet: Fleet, clock: Clock) -> None:
    mine, other = own(3, 3), ("a", 3, 3)
    assert pause_after_looks(fleet, clock, mine, other, limit=100) == policy.ROOMY_INTERVAL
    assert pause_after_looks(fleet, clock, mine, other, limit=30) == policy.FAR_INTERVAL
    assert pause_after_looks(fleet, clock, mine, other, limit=15) == policy.CALM_INTERVAL
    assert pause_after_looks(fleet, clock, mine, ("a", 3, 10), ("b", 9, 10), limit=15) == policy.LOOK_INTERVAL


def test_who_lacks_connections_does_not_wait_for_the_rare_look(fleet: Fleet, clock: Clock) -> None:
    look(fleet, own(3, 3), ("a", 3, 3))
    clock.now += 5
    look(fleet, own(3, 3), ("a", 3, 3))
    clock.now += 5
    look(fleet, own(3, 3), ("a", 3, 3))
    assert fleet.look_at(3, 0, 10) == clock.now + policy.CALM_INTERVAL
    assert fleet.look_at(8, 0, 10) == clock.now + policy.CALM_INTERVAL
    assert fleet.look_at(8, 1, 10) == clock.now + policy.LOOK_INTERVAL


def test_all_looks_together_cost_the_server_little(fleet: Fleet, clock: Clock) -> None:
    others = [(chr(ord("a") + number), 10, 10) for number in range(12)]
    look(fleet, own(10, 10), *others, limit=100)
    look(fleet, own(10, 10), *others, limit=100)
    pause = fleet.look_at(10, 0, 10) - clock.now
    least, each = policy.LOOK_COST
    assert pause == pytest.approx(13 * (least + 130 * each) / policy.LOOKS_SHARE)


def test_it_grows_into_its_own_part_only(fleet: Fleet) -> None:
    look(fleet, own(2, 10), ("a", 2, 10))
    assert fleet.may_grow(6, 6)
    assert not fleet.may_grow(7, 7)


def test_above_its_share_it_yields_and_at_its_share_it_keeps(fleet: Fleet) -> None:
    look(fleet, own(10, 10), ("a", 4, 10))
    assert fleet.begin_to_yield(8, 60.0)
    assert not fleet.begin_to_yield(7, 60.0)


def test_an_old_list_makes_nobody_yield(fleet: Fleet, clock: Clock) -> None:
    look(fleet, own(10, 10), ("a", 4, 10))
    clock.now += policy.STALE_AFTER
    assert not fleet.begin_to_yield(8, 60.0)


def test_idle_connections_go_while_others_lack_some(fleet: Fleet) -> None:
    assert fleet.idle_timeout(60.0) == 60.0
    look(fleet, own(10, 2), ("a", 4, 10))
    assert fleet.idle_timeout(60.0) == policy.IDLE_GRACE
    assert fleet.idle_timeout(None) == policy.IDLE_GRACE
    assert fleet.idle_timeout(0.1) == 0.1


def test_a_refusal_ends_the_growing_until_the_next_look(fleet: Fleet) -> None:
    look(fleet, own(2, 10), ("a", 2, 10))
    fleet.refused(4)
    assert not fleet.may_grow(4, 4)
    assert fleet.may_grow(3, 3)


def test_with_an_old_list_it_tries_below_its_share_soon_and_above_seldom(fleet: Fleet, clock: Clock) -> None:
    """No connection comes back, over which it could look."""
    look(fleet, own(4, 10), ("a", 10, 10))
    assert not fleet.may_grow(4, 4)
    clock.now += policy.STALE_AFTER
    assert fleet.may_grow(4, 4)
    look(fleet, own(7, 10), ("a", 7, 10))
    clock.now += policy.STALE_AFTER
    assert not fleet.may_grow(7, 7)
    clock.now += policy.TRY_INTERVAL[0]
    assert fleet.may_grow(7, 7)


def test_a_lost_look_changes_nothing(fleet: Fleet, clock: Clock) -> None:
    look(fleet, own(10, 10), ("a", 4, 10))
    clock.now += 1
    fleet.begin_look(own(10, 10))
    assert fleet.begin_to_yield(8, 60.0)


def test_a_list_that_cannot_be_read_is_not_asked_for_again(fleet: Fleet) -> None:
    fleet.begin_look(own(2, 10))
    fleet.record(Census([], is_readable=False), own(2, 10))
    assert fleet.look_at(2, 8, 10) == math.inf
    assert fleet.badge(own(2, 10)) == ""
    assert fleet.may_grow(9, 9)
    assert fleet.max_connecting(0) == math.inf
    assert not fleet.begin_to_yield(10, 60.0)


def test_the_first_connects_alone_and_in_a_crowd_few_do_at_a_time(fleet: Fleet) -> None:
    assert fleet.max_connecting(0) == 1
    look(fleet, own(1, 10), limit=100)
    assert fleet.max_connecting(0) == fleet.max_connecting(1) == math.inf
    look(fleet, own(1, 10), ("a", 1, 10))
    assert fleet.max_connecting(0) == 1
    assert fleet.max_connecting(1) == policy.CONNECTING_IN_CROWD


def test_where_the_limit_was_in_reach_looks_stay_frequent_for_a_while(fleet: Fleet, clock: Clock) -> None:
    look(fleet, own(10, 10), ("a", 3, 10))
    assert pause_after_looks(fleet, clock, own(5, 5), limit=15) == policy.CALM_INTERVAL
    assert pause_after_looks(fleet, clock, own(10, 10), limit=15) == policy.LOOK_INTERVAL, "others may want their part"
    clock.now += policy.FLEET_MEMORY
    assert pause_after_looks(fleet, clock, own(10, 10), limit=15) == policy.FAR_INTERVAL


def test_looks_are_more_frequent_when_others_have_just_come_in(fleet: Fleet, clock: Clock) -> None:
    fleet.begin_look(own(9, 10))
    listed = [Sessions(9, True, True, 60.0, "~mmmmmm.10.10.1"), Sessions(1, True, True, 0.5, "~aaaaaa.10.10.1")]
    fleet.record(take([("role", 15)], listed, is_readable=True), own(9, 10))
    assert fleet.look_at(9, 1, 10) == clock.now + policy.HURRIED_INTERVAL


def test_a_successor_goes_on_under_the_same_token(fleet: Fleet, clock: Clock) -> None:
    fleet.begin_look(own(1, 2))
    successor = Fleet(clock, least)
    assert successor.token != fleet.token
    successor.succeed(fleet)
    told, before = read(successor.badge(own(1, 2))), read(fleet.badge(own(1, 2)))
    assert told is not None
    assert before is not None
    assert (told.token, told.sequence > before.sequence) == ("mmmmmm", True)


# Outside, without a connection


def test_who_has_none_tries_again_soon_then_seldom_then_more_often(clock: Clock) -> None:
    limit = ServerLimit(clock, lambda low, high: 1.0)
    pauses = []
    for _ in range(12):
        assert limit.may_connect(0, 0, 0)
        limit.refused(0, 10)
        assert not limit.may_connect(0, 0, 0)
        pauses.append(round(limit.retry_at - clock.now, 2))
        clock.now = limit.retry_at
    first, longest, shortest, _ = server_limit.OUTSIDE
    assert pauses[0] == first
    assert first < pauses[1] <= 2 * first
    assert max(pauses) <= longest
    assert min(pauses[2:]) == pauses[-1]
    assert pauses[-1] < max(pauses)
    assert shortest <= pauses[-1]


def test_who_has_left_its_only_connection_lets_others_go_first(clock: Clock) -> None:
    limit = ServerLimit(clock, least)
    limit.record_yield(0)
    assert limit.retry_at == clock.now + server_limit.AFTER_TURN[0]
    limit.fleet.token = "mmmmmm"
    look(limit.fleet, own(1, 5), *((letter, 1, 5) for letter in "abcd"), limit=2)
    limit.retry_at = 0.0
    limit.record_yield(0)
    assert limit.retry_at == pytest.approx(clock.now + 3 * server_limit.AFTER_TURN[0]), "three stand outside"


def test_the_only_connection_is_kept_for_a_while(clock: Clock) -> None:
    limit = ServerLimit(clock, least)
    limit.connected()
    limit.fleet.token = "mmmmmm"
    look_as_the_oldest(limit.fleet, 10)
    assert limit.fleet.target == 0
    assert not limit.begin_to_yield(1, 0)
    clock.now += policy.LEAST_TURN
    assert limit.begin_to_yield(1, 0)


def test_who_has_ever_less_to_do_keeps_its_only_connection(fleet: Fleet) -> None:
    for demand, is_over in ((10, True), (8, False), (8, True), (7, False), (9, True)):
        look_as_the_oldest(fleet, demand)
        assert fleet.begin_to_yield(1, policy.LEAST_TURN) == is_over


def test_but_not_for_as_long_as_that_takes(fleet: Fleet) -> None:
    for demand in (10, 9, 8):
        look_as_the_oldest(fleet, demand)
    assert not fleet.begin_to_yield(1, policy.LEAST_TURN + policy.EBB - 0.1)
    assert fleet.begin_to_yield(1, policy.LEAST_TURN + policy.EBB)


def test_a_list_that_leaves_less_than_all_is_not_relied_on_for_ever(fleet: Fleet, clock: Clock) -> None:
    look(fleet, own(3, 10), ("a", 7, 1), limit=11)
    assert not fleet.may_grow(3, 3), "the other has not yet given back what it doesn't want"
    clock.now += policy.STALE_AFTER
    assert fleet.may_grow(3, 3)


def test_what_it_is_closing_counts_until_it_has_gone(fleet: Fleet) -> None:
    most_are_closing = dataclasses.replace(own(3, 10), slots=10)
    look(fleet, most_are_closing, limit=9)
    assert not fleet.may_grow(3, 9)
    assert fleet.may_grow(3, 8), "without another look"


def test_sessions_of_its_own_that_are_about_to_go_keep_it_from_growing_for_a_moment_only(
    fleet: Fleet, clock: Clock
) -> None:
    look(fleet, own(1, 2, limit=2), ("m", 1, 2), limit=2)
    assert not fleet.may_grow(1, 1)
    clock.now += policy.LOOK_INTERVAL
    assert fleet.may_grow(1, 1)
