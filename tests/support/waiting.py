"""Waits for states instead of times."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: Far more than anything takes, even on a slow machine: only a failing test waits that long (seconds).
DEADLINE = 30.0
#: Between two looks (seconds): at least, at most, and as a part of the time that was waited so far. A look may be a
#: session on a server, which takes more of the processors than what is waited for.
_PAUSE, _LONGEST_PAUSE, _PAUSE_SHARE = 0.01, 0.1, 0.05


def eventually(condition: Callable[[], T], what: str, timeout: float = DEADLINE) -> T:
    """Poll a condition until it returns something true, and return that.

    :raises AssertionError: when it takes too long; the message says ``what`` was awaited, and the last value.
    """
    start = time.monotonic()
    while not (value := condition()):
        waited = time.monotonic() - start
        if waited >= timeout:
            raise AssertionError(f"not within {timeout} s: {what} (last: {value!r})")
        time.sleep(max(_PAUSE, min(waited * _PAUSE_SHARE, _LONGEST_PAUSE)))
    return value
