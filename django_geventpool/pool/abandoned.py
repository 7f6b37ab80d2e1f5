"""How often it is said that holders end without giving their connections back."""

from __future__ import annotations

import math
import time

from . import naming

#: How many kinds of holders are told apart. The others count as one.
KINDS = 100


class Abandoned:
    """Holders that ended without giving back: of each kind, the first is news and the others are counted for a while.

    :param pause: how many seconds nothing more is said of a kind.
    """

    def __init__(self, pause: float) -> None:
        self._pause = pause
        self._kinds: dict[str, _Kind] = {}

    def record(self, who: str) -> bool:
        """Record a holder; return whether to speak of it now. If not, it is counted."""
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
        """When there is a number to be told (monotonic seconds); never if there is none."""
        return min((kind.until for kind in self._kinds.values()), default=math.inf)

    def to_tell(self, now: float) -> list[tuple[int, str]]:
        """Return the number of those of each kind that nothing was said of, and the last one, when it is time to."""
        over = [(key, kind) for key, kind in self._kinds.items() if kind.until <= now]
        for key, kind in over:
            del self._kinds[key]
            if kind.count:
                self._kinds[key] = _Kind(now + self._pause)
        return [(kind.count, kind.last) for _, kind in over if kind.count]


class _Kind:
    """Holders that are not worth telling apart."""

    __slots__ = ("count", "last", "until")

    def __init__(self, until: float) -> None:
        #: When to tell of them (monotonic seconds).
        self.until = until
        self.count = 0
        self.last = ""
