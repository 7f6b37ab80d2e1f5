"""What operators see of the fleet: the tightest limit, and who has sessions."""

from __future__ import annotations

from typing import Any

from django_geventpool.pool.fleet.badge import Badge
from django_geventpool.pool.fleet.census import Sessions, take
from django_geventpool.pool.fleet.policy import Fleet
from django_geventpool.pool.fleet.standing import Own
from django_geventpool.pool.fleet.view import FleetView, fleet_numbers, limit_in_words, others_in_words, view_of

OWN = Own(limit=10, size=2, slots=2, opened=2, busy=2, waiting=9, held_for=60)
LIST = [
    Sessions(2, True, True, 60.0, str(Badge("aaaaaa", 10, 9, 1))),
    Sessions(3, True, True, 60.0, str(Badge("bbbbbb", 5, 4, 7))),
    Sessions(2, True, False, 60.0, "psql"),
    Sessions(4, False, False, 60.0, "reporting"),
]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def seen(limits: tuple[tuple[str, int], ...] = (("role", 12), ("server", 97)), *, is_readable: bool = True) -> Any:
    """Return what a pool shows one and a half seconds after a look."""
    clock = Clock()
    fleet = Fleet(clock, token="aaaaaa")
    fleet.begin_look(OWN)
    fleet.record(take(limits, LIST, is_readable=is_readable), OWN)
    clock.now += 1.5
    return fleet_numbers(fleet, clock.now)["fleet"]


def test_the_tightest_limit_and_who_has_sessions() -> None:
    assert seen() == FleetView(
        age=1.5,
        scope="role",
        limit=12,
        sessions=7,
        pools=2,
        demand=13,
        max_conns=15,
        strangers=2,
        others={"psql": 2},
    )


def test_other_roles_are_named_as_such() -> None:
    found = seen((("role", -1), ("server", 13)))
    assert (found.scope, found.strangers, found.others) == ("server", 6, {"role reporting": 4, "psql": 2})


def test_nothing_is_known_before_the_first_look_or_of_a_list_that_can_not_be_read() -> None:
    assert seen(is_readable=False) is None
    nothing = {"fleet_limit": 0, "fleet_share": 0, "fleet": None, "is_fleet_readable": None}
    assert fleet_numbers(Fleet(Clock()), 100.0) == nothing


def test_few_names_are_told_and_none_can_forge_lines() -> None:
    web = [Sessions(1, True, True, 1.0, f"web{number}") for number in range(9)]
    listed = [*web, Sessions(5, False, True, 1.0, "a\nb"), Sessions(7, True, True, 1.0, "")]
    (scope,) = take([("server", 60)], listed, is_readable=True).scopes
    found = view_of(scope, 0)
    assert found.strangers == 21
    assert (
        others_in_words(found.others, found.strangers) == r"unnamed 7, role a\nb 5, web0 1, web1 1, web2 1, and 6 more"
    )


def test_limits_in_words() -> None:
    assert limit_in_words("role", "sh\nop") == r"CONNECTION LIMIT of the role sh\nop"
    assert limit_in_words("database", "") == "CONNECTION LIMIT of the database"
    assert limit_in_words("server", "any") == "max_connections without reserved ones"
