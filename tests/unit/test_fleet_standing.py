"""How a pool stands among the others of the session list."""

from __future__ import annotations

from django_geventpool.pool.fleet.badge import Badge
from django_geventpool.pool.fleet.census import Census, Sessions, take
from django_geventpool.pool.fleet.standing import ALWAYS_KEPT_FROM, SILENT_AFTER, Own, Silence, Standing, judge

OLD = 100.0


def pool(token: str, sessions: int, demand: int, limit: int = 25, age: float = OLD) -> Sessions:
    return Sessions(sessions, True, True, age, str(Badge(token * 6, limit, demand, 1)))


def strangers(sessions: int) -> Sessions:
    return Sessions(sessions, True, True, OLD, "psql")


def own(size: int, demand: int, limit: int = 25) -> Own:
    return Own(limit=limit, size=size, slots=size, opened=size, busy=size, waiting=demand - size, held_for=60)


def judge_list(
    mine: Own, *listed: Sessions, limit: int = 25, silent: str = "", company: bool = False, absent: int = 0
) -> Standing:
    census = take([("role", limit)], listed, is_readable=True)
    return judge(
        census, "m" * 6, mine, lambda badge: badge.token[0] in silent, is_company_expected=company, absent=absent
    )


def test_all_come_to_the_same_shares_and_one_is_kept_free() -> None:
    sizes = {"a": 3, "b": 12, "m": 9}
    targets = []
    for me in sizes:
        names = {me: "m", "m": me}  # The one that judges is "m" in these tests.
        listed = [pool(names.get(token, token), size, 25) for token, size in sizes.items()]
        targets.append(judge_list(own(sizes[me], 25), *listed).target)
    assert targets == [8, 9, 8], "who has most keeps what can't be divided"


def test_below_its_share_it_grows_into_its_part_of_what_is_free() -> None:
    standing = judge_list(own(2, 25), pool("m", 2, 25), pool("a", 2, 25), pool("b", 13, 25))
    assert (standing.target, standing.is_contested) == (8, True)
    assert standing.cap == 2 + 4, "its part of the eight that are free"


def test_what_it_is_closing_is_room_for_it_again() -> None:
    mine = Own(limit=2, size=1, slots=2, opened=1, busy=1, waiting=1, held_for=60)
    standing = judge_list(mine, pool("m", 2, 2, limit=2), limit=2)
    assert standing.cap == 2, "as soon as that has gone"


def test_above_its_share_it_does_not_grow() -> None:
    standing = judge_list(own(13, 25), pool("m", 13, 25), pool("a", 2, 25), pool("b", 2, 25))
    assert (standing.target, standing.cap) == (9, 9)


def test_what_cannot_be_divided_goes_to_who_has_opened_none_for_longest() -> None:
    mine = own(2, 25)
    others = [pool("a", 2, 25, age=3.0), pool("b", 2, 25, age=5.0)]
    targets = [judge_list(mine, pool("m", 2, 25, age=age), *others, limit=7).target for age in (2.0, 4.0, 6.0)]
    assert targets == [2, 2, 3]


def test_who_leaves_room_is_who_has_most_and_has_opened_none_for_longest() -> None:
    listed = [pool("a", 3, 25, age=4.0), pool("b", 2, 25, age=9.0)]
    keeps = [judge_list(own(3, 25), pool("m", 3, 25, age=age), *listed, limit=8) for age in (2.0, 6.0)]
    assert [(each.is_doorkeeper, each.newest) for each in keeps] == [(False, 2.0), (True, 4.0)]


def test_what_somebody_does_not_want_goes_to_the_others() -> None:
    standing = judge_list(own(8, 25), pool("m", 8, 25), pool("a", 8, 25), pool("b", 2, 2))
    assert standing.target == 11


def test_idle_connections_of_a_pool_are_what_others_lack() -> None:
    mine = Own(limit=25, size=10, slots=10, opened=10, busy=1, waiting=0, held_for=60)
    standing = judge_list(mine, pool("m", 10, 10), pool("a", 14, 25))
    assert (standing.target, standing.is_contested) == (12, True)


def test_a_pool_may_grow_to_its_share_before_it_wants_it() -> None:
    standing = judge_list(own(1, 1), pool("m", 1, 1), pool("a", 10, 25))
    assert standing.cap == 12


def test_ages_that_are_hidden_make_nobody_new_and_let_each_pool_take_turns() -> None:
    others = [pool(name, 1, 10, age=-1) for name in "abcdef"]
    mine = Own(limit=10, size=1, slots=1, opened=1, busy=1, waiting=9, held_for=5)
    standing = judge_list(mine, pool("m", 1, 10, age=-1), *others, limit=7)
    assert (standing.target, standing.has_newcomers) == (0, False)


def test_as_long_as_there_is_room_nobody_gives_anything_back() -> None:
    standing = judge_list(own(4, 4, 10), pool("m", 4, 4, 10), pool("a", 4, 4, 10))
    assert not standing.is_contested
    assert not standing.is_crowded
    assert standing.cap == 10


def test_without_a_look_it_grows_by_its_part_of_what_nobody_has() -> None:
    standing = judge_list(own(4, 4, 20), pool("m", 4, 4, 20), pool("a", 10, 10, 20))
    assert not standing.is_contested
    assert standing.is_crowded
    assert standing.cap == 4 + 5, "its part of the eleven that are free; the other has the odd one"


def test_one_is_kept_free_for_those_that_were_there_and_are_expected_back() -> None:
    others = [pool("a", 12, 25), pool("b", 4, 25)]
    everybody_is_here = judge_list(own(8, 25), pool("m", 8, 25), *others)
    assert (everybody_is_here.budget, everybody_is_here.has_reserve) == (25, False)
    somebody_is_away = judge_list(own(8, 25), pool("m", 8, 25), *others, company=True)
    assert (somebody_is_away.budget, somebody_is_away.has_reserve) == (24, True)


def test_who_has_most_of_a_full_server_leaves_room_now_and_then_if_none_is_kept_free() -> None:
    def is_doorkeeper(mine: int, others: int, *, company: bool = False) -> bool:
        listed = [pool("m", mine, 25), pool("a", others, 25)]
        return judge_list(own(mine, 25), *listed, company=company).is_doorkeeper

    assert is_doorkeeper(13, 12)
    assert not is_doorkeeper(12, 13), "the other one is"
    assert not is_doorkeeper(13, 11), "there is room"
    assert not is_doorkeeper(13, 12, company=True), "one is kept free"
    assert not judge_list(own(25, 25), pool("m", 25, 25)).is_doorkeeper, "alone, it probes"


def test_silent_pools_leave_the_room_to_who_has_connections_that_come_back() -> None:
    listed = [pool("m", 4, 25), pool("a", 21, 25)]
    assert judge_list(own(4, 25), *listed, silent="a").is_doorkeeper
    listed = [pool("m", 1, 25), pool("a", 1, 25)]
    standing = judge_list(own(1, 25), *listed, limit=2, silent="a")
    assert (standing.is_doorkeeper, standing.has_reserve) == (True, False), "none can be kept free"


def test_those_that_follow_one_that_has_come_back_are_counted_with_it() -> None:
    listed = [pool("m", 20, 25), pool("a", 1, 25, age=0.1)]
    assert judge_list(own(20, 25), *listed, company=True).target == 12
    assert judge_list(own(20, 25), *listed, company=True, absent=3).target == 11, "of 22, two of which are for others"
    assert judge_list(own(20, 25), *listed, company=True, absent=9).target == 11, "two follow each, at the most"


def test_where_strangers_have_more_none_is_kept_free_for_them() -> None:
    assert judge_list(own(1, 25), pool("m", 1, 25), strangers(8), limit=9).has_reserve is False
    assert judge_list(own(4, 25), pool("m", 4, 25), strangers(4), limit=9).has_reserve is True
    assert judge_list(own(1, 25), pool("m", 1, 25), pool("a", 1, 25), strangers(7), limit=9).has_reserve is True


def test_strangers_count_as_what_they_are() -> None:
    assert judge_list(own(8, 25), pool("m", 8, 25), pool("a", 8, 25), strangers(4)).target == 10


def test_strangers_cannot_squeeze_the_fleet_below_one_each() -> None:
    standing = judge_list(own(1, 25), pool("m", 1, 25), pool("a", 1, 25), strangers(23))
    assert standing.target == 1


def test_alone_it_may_have_all_if_one_is_much_and_nobody_was_there_not_long_ago() -> None:
    standing = judge_list(own(20, 30), pool("m", 20, 30))
    assert (standing.budget, standing.cap, standing.has_reserve) == (25, 25, False)
    standing = judge_list(own(20, 30), pool("m", 20, 30), company=True)
    assert (standing.budget, standing.cap, standing.has_reserve) == (24, 24, True)
    standing = judge_list(own(20, 90), pool("m", 20, 90), limit=ALWAYS_KEPT_FROM)
    assert (standing.budget, standing.has_reserve) == (ALWAYS_KEPT_FROM - 1, True)
    assert judge_list(own(1, 30), pool("m", 1, 30), limit=1).target == 1, "the only one that there is"
    assert judge_list(own(1, 30), pool("m", 1, 30), limit=2).cap == 2


def test_own_connections_that_holders_have_renamed_are_no_strangers() -> None:
    standing = judge_list(own(8, 25), pool("m", 5, 25), strangers(3))
    assert standing.budget == 25


def test_a_silent_pool_keeps_what_it_has_and_gets_no_share() -> None:
    standing = judge_list(own(4, 25), pool("m", 4, 25), pool("a", 4, 25), pool("b", 4, 25), silent="b")
    assert standing.target == 10
    assert standing.pools == 2


def test_when_there_are_more_pools_than_connections_the_one_that_was_longest_there_leaves() -> None:
    others = [pool(token, 1, 5, age=10.0 + number) for number, token in enumerate("abc")]
    mine = pool("m", 1, 5, age=50.0)
    assert judge_list(own(1, 5), *others, mine, limit=4).target == 0
    younger = pool("m", 1, 5, age=11.5)
    assert judge_list(own(1, 5), *others, younger, limit=4).target == 1
    assert judge_list(own(1, 5), *others[:2], mine, limit=4).target == 1, "there is room for all"


def test_while_others_come_in_it_grows_step_by_step_and_leaves_room_for_those_that_follow() -> None:
    calm = judge_list(own(2, 25), pool("m", 2, 25), pool("a", 1, 25))
    assert (calm.has_newcomers, calm.cap) == (False, 13)
    listed = [pool("m", 2, 25), pool("a", 1, 25, age=0.1)]
    young = judge_list(own(2, 25), *listed)
    assert (young.has_newcomers, young.cap) == (True, 4)
    known = judge_list(own(2, 25), *listed, company=True, absent=2)
    assert (known.has_newcomers, known.cap) == (True, 6), "to what is left for each if all come"


def test_in_turns_those_look_more_often_that_are_next_to_leave() -> None:
    others = [pool(token, 1, 5, age=10.0 + number) for number, token in enumerate("abcdefg")]
    paces = [
        judge_list(own(1, 5), pool("m", 1, 5, age=age), *others, limit=limit).pace
        for age, limit in ((20.0, 8), (10.5, 8), (20.0, 25))
    ]
    assert paces == [0.5, 2.0, 1.0]


def test_the_tightest_limit_counts() -> None:
    listed = [pool("m", 4, 25), pool("a", 4, 25), Sessions(10, False, True, OLD, "")]
    census = take([("role", 25), ("database", 21), ("server", 97)], listed, is_readable=True)
    standing = judge(census, "m" * 6, own(4, 25), lambda badge: False, is_company_expected=False, absent=0)
    assert (standing.target, standing.cap) == (5, 5)


def test_a_pool_is_silent_when_it_has_told_nothing_new_for_a_while() -> None:
    silence = Silence()

    def census(sequence: int) -> Census:
        badge = Badge("aaaaaa", 5, 5, sequence)
        return take([("role", 9)], [Sessions(1, True, True, 1.0, str(badge))], is_readable=True)

    badge = Badge("aaaaaa", 5, 5, 0)
    silence.observe(census(1), 10.0)
    assert not silence.is_silent(badge, 10.0)
    silence.observe(census(1), 10.0 + SILENT_AFTER)
    assert silence.is_silent(badge, 10.0 + SILENT_AFTER)
    silence.observe(census(2), 11.0 + SILENT_AFTER)
    assert not silence.is_silent(badge, 11.0 + SILENT_AFTER)


def test_newcomers_hold_nobody_up_where_there_is_room_for_all() -> None:
    standing = judge_list(own(1, 3, 3), pool("m", 1, 3, 3), pool("a", 1, 5, 5, age=0.1), limit=300)
    assert (standing.has_newcomers, standing.cap) == (False, 3)
