"""A set that keeps an order that a seed repeats."""

from __future__ import annotations

from typing import Any


class OrderedSet(dict[Any, None]):
    """What the pool needs of a set, in the order of adding."""

    def add(self, item: Any) -> None:
        self[item] = None

    def discard(self, item: Any) -> None:
        self.pop(item, None)
