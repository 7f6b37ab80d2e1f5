"""The server's session list, as the pools read it."""

from __future__ import annotations

import pytest

from django_geventpool.pool.fleet.census import Census, Member, Scope, Sessions, parse, take

LIST = """
41 t 25 -1 97
3 t t 12.5 0.5 shop a:1 ~aaaaaa.10.4.1
1 t t 2.25 2.25 shop a:1 ~aaaaaa.10.7.2
2 t f 1.000 1.000 ~bbbbbb.5.5.9
1 t t 300 300 psql
4 f t 0 0\x20
""".strip("\n")


def test_a_list_is_read() -> None:
    census = parse(LIST, 41)
    assert census.is_readable
    assert not census.is_full
    role, server = census.scopes
    assert (role.kind, role.limit, role.strangers) == ("role", 25, 1)
    assert (server.kind, server.limit, server.strangers) == ("server", 97, 5)
    assert role.members.keys() == server.members.keys() == {"aaaaaa", "bbbbbb"}
    first = role.members["aaaaaa"]
    assert (first.sessions, first.age, first.newest, first.badge.demand) == (4, 12.5, 0.5, 7), "the newest badge holds"
    assert role.sessions == 7
    assert server.sessions == 11


def test_other_roles_are_known_by_their_names_whatever_is_in_them() -> None:
    server = parse(LIST.replace("4 f t 0 0 ", r"4 f t 0 0 m\303\274 ~aaaaaa.10.4.1\377"), 41).scopes[1]
    assert server.others == {"psql": 1, "role mü ~aaaaaa.10.4.1\ufffd": 4}


def test_what_other_roles_say_is_not_believed() -> None:
    (scope,) = take([("server", 10)], [Sessions(1, False, True, 0.0, "~aaaaaa.10.4.1")], is_readable=True).scopes
    assert not scope.members
    assert scope.strangers == 1


def test_each_limit_counts_its_own_sessions() -> None:
    listed = [
        Sessions(1, True, True, 0.0, ""),
        Sessions(2, True, False, 0.0, ""),
        Sessions(4, False, True, 0.0, ""),
        Sessions(8, False, False, 0.0, ""),
    ]
    census = take([("role", 9), ("database", 9), ("server", 15)], listed, is_readable=True)
    assert {scope.kind: scope.strangers for scope in census.scopes} == {"role": 3, "database": 5, "server": 15}
    assert census.is_full


def test_a_list_through_a_pooler_or_without_names_is_not_readable() -> None:
    assert not parse(LIST, 42).is_readable
    assert not parse(LIST.replace("41 t", "41 f"), 41).is_readable


def test_a_list_without_sessions() -> None:
    assert parse("7 t -1 -1 10", 7) == Census([Scope("server", 10)], is_readable=True)


@pytest.mark.parametrize(
    "text", ["", "41", "41 t 1 2", "41 t 1 2 x", "41 t 1 2 3\n1 t", "41 t 1 2 3\nx t t 0 0 name", "a\nb"]
)
def test_what_is_not_a_list_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse(text, 41)


def test_a_members_oldest_session_says_how_long_it_is_there() -> None:
    census = parse(LIST, 41)
    assert isinstance(census.scopes[0].members["bbbbbb"], Member)
    assert census.scopes[0].members["bbbbbb"].age == 1.0
