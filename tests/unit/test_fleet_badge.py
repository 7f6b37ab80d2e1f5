"""What a pool's sessions say of it in the server's list."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_geventpool.pool.fleet import badge as badges
from django_geventpool.pool.fleet.badge import LONGEST, Badge, application_name, new_token, read, renamed

BADGES = st.builds(
    Badge,
    st.text("0123456789abcdefghijklmnopqrstuvwxyz", min_size=6, max_size=6),
    st.integers(1, 99999),
    st.integers(0, 200000),
    st.integers(0, 36**6 - 1),
)


@given(BADGES, st.text())
def test_what_is_told_is_read_whatever_stands_before_it(badge: Badge, own: str) -> None:
    name = application_name(own, str(badge))
    assert len(name.encode()) <= LONGEST
    assert read(name) == Badge(badge.token, badge.limit, min(badge.demand, badge.limit), badge.sequence)


@given(st.text(max_size=80))
def test_any_other_text_is_no_badge(name: str) -> None:
    found = read(name)
    assert found is None or name.endswith(str(found))


@pytest.mark.parametrize(
    "name",
    [
        "",
        "shop",
        "~k3x9fa.10.4",
        "~k3x9fa.10.4.1z ",
        "~k3x9fa.10.4.1z\n",
        "~K3X9FA.10.4.1z",
        "~k3x9f.10.4.1z",
        "~k3x9fa.0.0.1z",
        "~k3x9fa.-1.4.1z",
        "~k3x9fa.999999.4.1z",
        "~k3x9fa.10.4.1234567",
        "~k3x9fa.\u0661\u0660.4.1z",
    ],
)
def test_texts_that_only_look_like_one(name: str) -> None:
    assert read(name) is None


def test_more_than_can_be_told_counts_as_the_most() -> None:
    told = read(application_name("", str(Badge("k3x9fa", 10**7, 10**6, 36**6 + 5))))
    assert told == Badge("k3x9fa", 99999, 99999, 5)


def test_a_demand_above_the_limit_counts_as_the_limit() -> None:
    assert read("~k3x9fa.10.4000.1z") == Badge("k3x9fa", 10, 10, 71)


def test_the_users_text_stays_in_front_and_operators_see_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(badges.socket, "gethostname", lambda: "worker7.example.com")
    assert application_name("shop", "~k3x9fa.10.4.1z") == f"shop worker7:{os.getpid()} ~k3x9fa.10.4.1z"
    assert application_name("", "~k3x9fa.10.4.1z") == f"worker7:{os.getpid()} ~k3x9fa.10.4.1z"


def test_a_long_text_of_the_users_leaves_no_room_for_the_process() -> None:
    name = application_name("x" * 100, "~k3x9fa.10.4.1z")
    assert name == "x" * (LONGEST - 16) + " ~k3x9fa.10.4.1z"


def test_a_name_that_the_server_would_change_is_changed_before() -> None:
    assert application_name("Läden\n", "~k3x9fa.10.4.1z").startswith("L?den? ")


def test_a_session_is_renamed_as_long_as_the_name_is_the_pools() -> None:
    assert renamed("shop w:1 ~k3x9fa.10.4.1z", "~k3x9fa.10.9.20") == "shop w:1 ~k3x9fa.10.9.20"
    assert renamed("~k3x9fa.10.4.1z", "~k3x9fa.10.9.20") == "~k3x9fa.10.9.20"
    assert renamed("shop w:1 ~another.10.4.1z", "~k3x9fa.10.9.20") is None
    assert renamed("shop w:1 ~k3x9fb.10.4.1z", "~k3x9fa.10.9.20") is None
    assert renamed("a report", "~k3x9fa.10.9.20") is None
    assert renamed("shop w:1 ~k3x9fa.10.4.1z", "") is None


def test_tokens_differ() -> None:
    assert len({new_token() for _ in range(100)}) == 100
