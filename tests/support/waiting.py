"""Waits for states instead of times."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: Far more than anything takes, even on a slow machine: only a failing test waits that long (seconds).
DEADLINE = 30.0


def eventually(condition: Callable[[], T], what: str, timeout: float = DEADLINE) -> T:
    """Poll a condition until it returns something true, and return that.

    :raises AssertionError: when it takes too long; the message says ``what`` was awaited, and the last value.
    """
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {timeout} s: {what} (last: {value!r})")
        time.sleep(0.01)
    return value
