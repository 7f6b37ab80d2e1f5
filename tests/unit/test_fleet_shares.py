"""Max-min fair shares."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_geventpool.pool.fleet.shares import fill

WISHES = st.lists(st.integers(0, 50), max_size=30)


@pytest.mark.parametrize(
    ("wishes", "room", "shares"),
    [
        ([], 5, []),
        ([10, 10, 10, 10], 24, [6, 6, 6, 6]),
        ([25, 2, 25], 24, [11, 2, 11]),
        ([10, 10, 10], 8, [3, 3, 2]),
        ([5, 5, 5], 2, [1, 1, 0]),
        ([0, 5, 0], 3, [0, 3, 0]),
        ([3, 4], 100, [3, 4]),
        ([3, 4], -1, [0, 0]),
    ],
)
def test_shares(wishes: list[int], room: int, shares: list[int]) -> None:
    assert fill(wishes, room) == shares


@given(WISHES, st.integers(0, 500))
def test_nobody_gets_more_as_long_as_somebody_with_less_could(wishes: list[int], room: int) -> None:
    shares = fill(wishes, room)
    assert sum(shares) == min(room, sum(wishes))
    assert all(0 <= share <= wish for share, wish in zip(shares, wishes, strict=True))
    unmet = [share for share, wish in zip(shares, wishes, strict=True) if share < wish]
    assert not unmet or max(shares) <= min(unmet) + 1
    assert unmet == sorted(unmet, reverse=True), "what is left over goes to those that come first"


@given(WISHES, st.integers(0, 500))
def test_each_gets_one_before_anybody_gets_two(wishes: list[int], room: int) -> None:
    shares = fill(wishes, room)
    if any(share > 1 for share in shares):
        assert all(share for share, wish in zip(shares, wishes, strict=True) if wish)
