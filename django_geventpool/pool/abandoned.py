"""Rate limit for the warning about holders that ended without giving their connections back."""

from __future__ import annotations

import math
import time

from . import naming

#: How many kinds of holders are told apart. The others count as one.
KINDS = 100


class Abandoned:
    """Holders that ended without giving back: the first of a kind is reported at once, others are counted for a while.

    :param pause: for how many seconds they are only counted.
    """

    def __init__(self, pause: float) -> None:
        self._pause = pause
        self._kinds: dict[str, _Kind] = {}

    def record(self, who: str) -> bool:
        """Record a holder; return whether to report it now. If not, it is counted."""
        key = naming.kind_key(who)
        if key not in self._kinds and len(self._kinds) >= KINDS:
            key = ""
        kind = self._kinds.get(key)
        if kind is None:
            self._kinds[key] = _Kind(time.monotonic() + self._pause)
            return True
        kind.count += 1
        kind.last = who
        return False

    def due_at(self) -> float:
        """Return when a number is to be reported (monotonic seconds); infinite if there is none."""
        return min((kind.until for kind in self._kinds.values()), default=math.inf)

    def pop_due(self, now: float) -> list[tuple[int, str]]:
        """Take out the kinds whose pause is over; return how many were counted of each, and the last one's name."""
        over = [(key, kind) for key, kind in self._kinds.items() if kind.until <= now]
        for key, kind in over:
            del self._kinds[key]
            if kind.count:
                self._kinds[key] = _Kind(now + self._pause)
        return [(kind.count, kind.last) for _, kind in over if kind.count]


class _Kind:
    """Holders that the log doesn't tell apart."""

    __slots__ = ("count", "last", "until")

    def __init__(self, until: float) -> None:
        #: When to report their number (monotonic seconds).
        self.until = until
        self.count = 0
        self.last = ""
