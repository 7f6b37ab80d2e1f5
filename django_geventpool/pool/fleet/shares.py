"""Max-min fair shares in whole numbers: nobody gets more as long as somebody with less could."""

from __future__ import annotations

from collections.abc import Sequence


def fill(wishes: Sequence[int], room: int) -> list[int]:
    """Return how much of the room each wish gets, like water that rises evenly until the room is used up.

    :param wishes: how much each would take at the most. What can't be divided goes to those that come first.
    """
    shares = [0] * len(wishes)
    unmet = [index for index, wish in enumerate(wishes) if wish > 0]
    while unmet and room > 0:
        rise = max(1, min(room // len(unmet), min(wishes[index] - shares[index] for index in unmet)))
        for index in unmet[:room]:
            shares[index] += rise
            room -= rise
        unmet = [index for index in unmet if shares[index] < wishes[index]]
    return shares
