"""Which other pools have been there."""

from __future__ import annotations

from django_geventpool.pool.fleet.company import FLEET_MEMORY, FOLLOW_WITHIN, OUTSIDE_MEMORY, Company


def met(*lists: tuple[str, float]) -> Company:
    """Return what is known after some lists: the letters of the pools in each, and when it was read."""
    company = Company()
    for letters, when in lists:
        company.meet(frozenset(letters), when)
    return company


def test_alone_nobody_is_expected() -> None:
    assert not met(("", 0.0)).is_expected(0.0)


def test_one_that_was_there_is_expected_back_for_a_while() -> None:
    company = met(("ab", 0.0), ("a", 5.0))
    assert company.count_absent(5.0) == 1
    assert company.is_expected(FLEET_MEMORY)
    assert not company.is_expected(FLEET_MEMORY + 0.1)


def test_when_all_are_there_nobody_is_expected() -> None:
    company = met(("ab", 0.0), ("", 5.0), ("ab", 10.0))
    assert not company.is_expected(10.0 + FOLLOW_WITHIN)


def test_others_are_expected_to_follow_one_that_has_come() -> None:
    company = met(("a", 0.0), ("ab", 10.0))
    assert company.is_expected(10.0 + FOLLOW_WITHIN)
    assert not company.is_expected(10.1 + FOLLOW_WITHIN)


def test_one_that_comes_back_soon_is_no_news() -> None:
    company = met(("a", 0.0), ("", 1.0), ("a", 2.0))
    assert not company.is_expected(2.0)


def test_who_has_come_is_told_from_who_was_there() -> None:
    company = Company()
    assert company.meet({"a"}, 0.0)
    assert not company.meet({"a"}, 1.0)
    assert not company.meet(frozenset(), 2.0)
    assert company.meet({"a"}, 3.0)


def test_those_outside_are_counted_for_a_moment() -> None:
    company = met(("ab", 0.0), ("a", 1.0))
    assert company.count(1.0) == 2
    assert company.count(OUTSIDE_MEMORY + 0.5) == 1
    assert company.has_news(1.0)
    assert not company.has_news(OUTSIDE_MEMORY)
