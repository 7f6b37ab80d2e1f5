"""Which other pools there are, and which have been there: those may come back at any moment."""

from __future__ import annotations

import math
from collections.abc import Set as AbstractSet

#: For how long a pool that has closed its connections is taken to come back, in seconds.
FLEET_MEMORY = 600.0
#: For how long a pool that has left is taken to stand outside, and others are expected when a new one has come,
#: in seconds.
OUTSIDE_MEMORY = 20.0
#: For how long others are expected to be at the door when one has come in, in seconds: longer than those inside need to
#: make room, and those outside to try.
FOLLOW_WITHIN = 1.5


class Company:
    """The other pools, as the lists so far have shown them. Times are monotonic seconds."""

    def __init__(self) -> None:
        #: Those in the last list.
        self.present: AbstractSet[str] = frozenset()
        #: When each was last in a list.
        self._seen: dict[str, float] = {}
        #: When one was that hadn't been in any for a while; before, when the first list was read.
        self._news_at = -math.inf

    def meet(self, present: AbstractSet[str], now: float) -> bool:
        """Record who is in a list; return whether somebody is who wasn't in the one before."""
        has_come = bool(present - self.present)
        recent = {token for token, seen in self._seen.items() if now - seen < OUTSIDE_MEMORY}
        if present - recent or self._news_at == -math.inf:
            self._news_at = now
        self._seen = {token: seen for token, seen in self._seen.items() if now - seen < FLEET_MEMORY}
        self._seen |= dict.fromkeys(present, now)
        self.present = present
        return has_come

    def is_expected(self, now: float) -> bool:
        """Return whether somebody may want to come in: who was there, or who follows one that has come."""
        return self.count_absent(now) > 0 or (bool(self.present) and now - self._news_at <= FOLLOW_WITHIN)

    def count_absent(self, now: float) -> int:
        """Return how many there were that aren't there now."""
        return sum(now - seen <= FLEET_MEMORY for token, seen in self._seen.items() if token not in self.present)

    def has_news(self, now: float) -> bool:
        """Return whether one has come not long ago, so that more may."""
        return now - self._news_at < OUTSIDE_MEMORY

    def count(self, now: float) -> int:
        """Return how many there are, and were a moment ago."""
        return sum(now - seen < OUTSIDE_MEMORY for seen in self._seen.values())
