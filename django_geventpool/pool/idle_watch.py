"""Looks now and then at what lent connections do, and finds tasks that hold them idle while others wait.

To time each query would cost every query something. A look costs nothing until it is taken, and over time the looks
show each state as often as it lasts long.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict

from ..options import PoolMode
from .driver import ConnectionState, Driver
from .state import PoolState
from .use_by_task import LIMIT, NO_TASK

#: The least pause between two looks, and the pause while requests wait, in seconds.
LOOK_INTERVAL = 0.5
#: How many looks while others waited must have found a task with a connection before it is warned of: 4 s.
_LOOKS = 8
#: After how many such looks counting begins anew: a minute.
_WINDOW = 120
#: The share of its time in no query, and of all connections' time, from which a task is warned of.
_IDLE_SHARE, _POOL_SHARE = 0.5, 0.1


class IdleWatch:
    """What the connections of one pool were seen doing. Called under the pool's lock.

    :param driver: says what they do.
    :param state: the pool's.
    """

    def __init__(self, driver: Driver, state: PoolState) -> None:
        self._driver = driver
        self._state = state
        #: When the last look was (monotonic seconds).
        self._looked_at = -math.inf
        #: What was seen by task while others waited, in how many looks, and how many looks there were.
        self._seen: dict[str, Counter[ConnectionState]] = defaultdict(Counter)
        self._looks: Counter[str] = Counter()
        self._number = 0
        #: The tasks that were warned of.
        self._told: set[str] = set()

    def due_at(self, since: float | None) -> float:
        """Return when to look next (monotonic seconds), given since when somebody waits; infinite for None."""
        return math.inf if since is None else max(since, self._looked_at) + LOOK_INTERVAL

    def look(self, now: float) -> str | None:
        """Look, unless the last look was just now; return what to warn of, in words, once for each task."""
        if now < self._looked_at + LOOK_INTERVAL:
            return None
        self._looked_at = now
        is_wanted = bool(self._state.waiting)
        if is_wanted and self._number >= _WINDOW:
            self._seen.clear()
            self._looks.clear()
            self._number = 0
        self._number += is_wanted
        names = set()
        for slot, request in self._state.in_use():
            try:
                doing = self._driver.state(slot.connection)
            except self._driver.error:
                continue  # It is just being closed in another thread.
            self._state.uses.of(request).seen[doing] += 1
            if is_wanted:
                names.add(name := self._state.uses.name_of(request))
                self._seen[name][doing] += 1
        self._looks.update(names)
        return next(filter(None, map(self._judge, names - self._told)), None)

    def _judge(self, name: str) -> str | None:
        """Return what to say of a task; None if it does nothing wrong, or too little is known of it."""
        if name == NO_TASK or self._looks[name] < _LOOKS or len(self._told) >= LIMIT:
            return None
        seen = self._seen[name]
        own, everybodys = sum(seen.values()), sum(sum(each.values()) for each in self._seen.values())
        idle = own - seen["active"]
        if idle < _IDLE_SHARE * own or idle < _POOL_SHARE * everybodys:
            return None
        self._told.add(name)
        return _describe(name, seen, own, everybodys, self._state.options.POOL_MODE)


def _describe(name: str, seen: Counter[ConnectionState], own: int, everybodys: int, mode: PoolMode) -> str:
    parts = [
        f"others wait while {name} holds connections, in no query for {(own - seen['active']) / own:.0%} of the time"
    ]
    if mode == "session" and seen["idle"]:
        parts.append(f"mode transaction would free {seen['idle'] / everybodys:.0%} of the connections' time")
    elif seen["idle"]:
        parts.append(f"pins and open cursors keep {seen['idle'] / everybodys:.0%} of the connections' time")
    if seen["idle in transaction"]:
        free = seen["idle in transaction"] / everybodys
        parts.append(f"shorter transactions would free {free:.0%} of the connections' time")
    return "; ".join(parts)
