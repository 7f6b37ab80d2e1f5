"""What a pool does with the session list: when to read it, how many connections to have, when to leave some to others.

Each pool reads the list for itself. All read the same, and so come to the same shares; nobody asks anybody.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from .badge import Badge, new_token
from .census import Census
from .company import FLEET_MEMORY, Company
from .standing import Own, Silence, Standing, judge

#: Least time between two looks of a pool at the list, in seconds: at the most two looks a second.
LOOK_INTERVAL = 0.5
#: The same for a moment after others have come in: so much sooner each has its share.
HURRIED_INTERVAL = 0.25
#: Each pause is longer by up to this part of it, so that pools don't look at the same time.
_JITTER = 0.2
#: What a look takes the server, in seconds: at all, and for each session (measured: 0.4 ms with 10, 1.1 ms with 200
#: sessions). All looks of the fleet together may take LOOKS_SHARE of a processor.
LOOK_COST = (0.0004, 0.000004)
LOOKS_SHARE = 0.02
#: Most time between looks while nobody lacks a connection: if all pools together could reach the limit, if they can't,
#: and if even twice as many couldn't; in seconds. Each pause is twice the one before: pools that start together soon
#: see each other.
CALM_INTERVAL = 1.0
FAR_INTERVAL = 10.0
ROOMY_INTERVAL = 60.0
#: Least time between looks of a pool with one connection that nobody waits for, in seconds; CALM_INTERVAL if the server
#: is full. Less than SILENT_AFTER, so that the others count on it.
LONE_INTERVAL = 3.0
#: For how long a list is relied on, in seconds, or if that is longer, for so many of the pauses between looks.
STALE_AFTER = 3.0
_STALE_PAUSES = 3
#: Least and most pause between attempts to get more than the last list had, when it is old because no connection comes
#: back, in seconds.
TRY_INTERVAL = (10.0, 60.0)
#: How many connect at the same time when others may be doing the same: few, as all of them may be refused, and more
#: than one, as a lone pool is to have its share soon, however long a connect takes.
CONNECTING_IN_CROWD = 2
#: For how long a connection is idle until others may have it, in seconds.
IDLE_GRACE = 0.35
#: For how long a pool keeps its only connection at least: if there are more pools than connections, and if there is
#: one for each, as far as is known; in seconds.
LEAST_TURN = 0.7
LONG_TURN = 20.0
#: How much longer, in seconds, a pool may keep it whose load ebbs. That it is about to be done is a guess: where
#: queries are long, what it has left may take minutes.
EBB = 2.0
#: The time between two moments in which a full server's pools leave room to some that they don't know, in seconds.
DOOR_INTERVAL = 1.0

Uniform = Callable[[float, float], float]


@dataclass
class _Plan:
    """What follows from the last list."""

    #: How many connections the pool may grow to.
    cap: float = math.inf
    #: How many it keeps while others lack some.
    target: float = math.inf
    #: When to leave room to others that aren't known; infinite if that isn't for this pool (monotonic seconds).
    door_at: float = math.inf
    #: How many to keep from then on.
    door_target: float = math.inf
    #: When it was read (monotonic seconds).
    made_at: float = -math.inf
    #: For how long it is relied on (seconds).
    good_for: float = 0.0


class Fleet:
    """One pool's part in the fleet. The pool calls each method with its lock held.

    :param clock: monotonic seconds.
    :param uniform: a random number between two others.
    :param token: tells the pool from others.
    """

    def __init__(self, clock: Callable[[], float], uniform: Uniform = random.uniform, token: str | None = None) -> None:
        self._clock = clock
        self._uniform = uniform
        self.token = token or new_token()
        self._sequence = 0
        #: Whether the list can be read: None until that was tried.
        self.is_readable: bool | None = None
        #: What the last list has said; None before the first.
        self.standing: Standing | None = None
        self._plan = _Plan()
        self._silence = Silence()
        #: The last pause while nobody lacked a connection, in seconds.
        self._calm_pause = 0.0
        self._company = Company()
        #: How many connections it could use at the last look, and whether that were fewer than at the one before.
        self._demand = 0
        self._is_ebbing = False
        #: When this pool last left a connection to others.
        self._yielded_at = -math.inf
        #: When all pools together could last reach the limit.
        self._crowded_at = -math.inf
        #: No look before the first if connections are lacking, else before the second (monotonic seconds).
        self.soon = self._next = -math.inf
        #: Since when it has had connections.
        self._inside_since = -math.inf
        #: When to try to grow beyond an old list, and the pause after that.
        self._try_at = math.inf
        self._try_pause = TRY_INTERVAL[0]

    def succeed(self, predecessor: Fleet) -> None:
        """Go on in the place of a pool of the same process, which is closed."""
        self.token, self._sequence = predecessor.token, predecessor._sequence + 1

    @property
    def looked_at(self) -> float:
        """When the last list was read that could be (monotonic seconds)."""
        return self._plan.made_at

    # What is told to others

    def badge(self, own: Own) -> str:
        """Return what sessions are to say of the pool from now on; empty if nobody could read it."""
        if self.is_readable is False:
            return ""
        return str(Badge(self.token, own.limit, own.demand, self._sequence))

    # Looks

    def begin_look_if_due(self, own: Own) -> str | None:
        """Return the badge to wear from now on if the list is to be read; the time until the next look begins."""
        if self._clock() < self.look_at(own.size, own.waiting, own.limit):
            return None
        return self.begin_look(own)

    def begin_look(self, own: Own) -> str:
        """Return the badge to wear from now on; the time until the next look begins."""
        self._sequence += 1
        self.soon = self._next = self._clock() + self._pause()
        return self.badge(own)

    def look_at(self, size: int, waiting: int, limit: int) -> float:
        """Return when to read the list next (monotonic seconds); infinite if there is no need."""
        if self.is_readable is False or not (waiting or size):
            return math.inf
        if waiting or size > 1:
            return self.soon if waiting and self._plan.cap <= size < limit else self._next
        # It may have what pools outside wait for, which can tell nobody.
        pause = CALM_INTERVAL if self.is_full else LONE_INTERVAL
        return max(self._next, max(self._plan.made_at, self._inside_since) + pause)

    def _pause(self) -> float:
        standing = self.standing
        pause = LOOK_INTERVAL
        if standing is not None:
            cost = standing.pools * (LOOK_COST[0] + standing.sessions * LOOK_COST[1]) / LOOKS_SHARE
            pause = max(HURRIED_INTERVAL if standing.has_newcomers else LOOK_INTERVAL, cost) * standing.pace
        return pause * self._uniform(1, 1 + _JITTER)

    def came_in(self) -> None:
        """Record that the pool has a connection, after a time without any."""
        self._inside_since = self._clock()

    def record(self, census: Census, own: Own) -> None:
        """Record what the list says."""
        self.is_readable = census.is_readable
        if not census.is_readable:
            self._plan = _Plan()
            return
        now = self._clock()
        self._silence.observe(census, now)
        if self._company.meet({token for scope in census.scopes for token in scope.members} - {self.token}, now):
            self._calm_pause = 0.0
        self._is_ebbing = own.demand < self._demand
        self._demand = own.demand
        standing = judge(
            census,
            self.token,
            own,
            lambda badge: self._silence.is_silent(badge, now),
            is_company_expected=self._company.is_expected(now),
            absent=self._company.count_absent(now),
        )
        self.standing = standing
        if standing.is_crowded:
            self._crowded_at = now
        pause = self._pause()
        self.soon = now + pause
        self._calm_pause = (
            0.0 if standing.is_contested else min(self._longest_pause(standing, now), 2 * self._calm_pause or pause)
        )
        self._next = max(self.soon, now + self._calm_pause * self._uniform(1, 1 + _JITTER))
        has_room = standing.cap >= own.limit and not standing.is_contested
        is_lasting = has_room and not self._is_crowded(now)
        # What is about to go is soon free, and who would look again may have nothing that comes back.
        good_for = LOOK_INTERVAL if standing.has_remains else max(STALE_AFTER, _STALE_PAUSES * pause)
        self._plan = _Plan(
            # The limit may be raised meanwhile.
            standing.cap + own.elsewhere if standing.cap < own.limit else math.inf,
            standing.target + own.elsewhere if standing.is_contested else math.inf,
            self._door_at(standing, now) if standing.is_doorkeeper else math.inf,
            # Also where all have just what they want: that may be the whole limit.
            (standing.target if standing.is_contested else own.size) + own.elsewhere - 1,
            now,
            math.inf if is_lasting else good_for,
        )
        if own.size < standing.target:
            self._try_pause = TRY_INTERVAL[0]
            self._try_at = now + self._plan.good_for
        else:
            self._try_at = now + self._try_pause * self._uniform(1, 1 + _JITTER)

    def _door_at(self, standing: Standing, now: float) -> float:
        # Where ages are hidden, others can't tell when the last has come in: this pool has only its own time.
        opened_at = self._yielded_at if standing.newest < 0 else now - standing.newest
        return opened_at + DOOR_INTERVAL

    def _is_crowded(self, now: float) -> bool:
        """Return whether the pools that were there not long ago could reach the limit."""
        return now - self._crowded_at <= FLEET_MEMORY

    def _longest_pause(self, standing: Standing, now: float) -> float:
        if self._is_crowded(now):
            return LOOK_INTERVAL if standing.has_more else CALM_INTERVAL
        return ROOMY_INTERVAL if standing.is_roomy else FAR_INTERVAL

    def expect_company(self) -> None:
        """Look soon and often for a while, as others may come in."""
        self._next = self.soon
        self._calm_pause = 0.0

    # What follows

    @property
    def has_reserve(self) -> bool:
        """Whether a connection is kept free for others, as the last list demands."""
        return bool(self.is_readable and self.standing and self.standing.has_reserve)

    @property
    def is_full(self) -> bool:
        """Whether the server was full, by the last list."""
        return bool(self.is_readable and self.standing and self.standing.is_full)

    @property
    def has_company(self) -> bool:
        """Whether other pools were in the last list, one of which leaves room to some that aren't known."""
        return bool(self.is_readable and self._company.present)

    @property
    def may_be_full(self) -> bool:
        """Whether the limit could be reached by the pools that were there not long ago, as far as is known."""
        return not self.is_readable or self._is_crowded(self._clock())

    def has_all(self, size: int) -> bool:
        """Return whether a pool with so many connections has all that there are for pools, by the last list."""
        return bool(self.is_readable and self.standing and size >= self.standing.room)

    @property
    def is_followed(self) -> bool:
        """Whether the list is read, and not too old."""
        return self._clock() < self._plan.made_at + self._plan.good_for

    def max_connecting(self, opened: int) -> float:
        """Return how many may connect at the same time.

        :param opened: how many connections there are already.
        """
        if self.is_readable is False or (self.is_readable and not self._is_crowded(self._clock())):
            return math.inf
        return CONNECTING_IN_CROWD if opened else 1  # Over the first the list is read, which says what room there is.

    def may_grow(self, size: int, slots: int) -> bool:
        """Return whether a pool that has, or is opening, so many connections may open another.

        :param slots: the same, and those that are being closed, which count on the server until they have gone.
        """
        if size == 0 or not self.is_readable:
            return True  # Being in the list is how others hear of it.
        if self.is_followed or slots < self._plan.cap:
            return slots < self._plan.cap
        return self._clock() >= self._try_at

    def grow_at(self) -> float:
        """Return when to try to grow although no list says that there is room (monotonic seconds)."""
        return self._try_at if self.is_readable and self._plan.cap < math.inf else math.inf

    def refused(self, size: int) -> None:
        """Record that the server was full."""
        if size and self.is_readable:
            self._plan.cap = min(self._plan.cap, size)
            self._next = self.soon
            now = self._clock()
            if now >= self._try_at:
                self._try_pause = min(2 * self._try_pause, TRY_INTERVAL[1])
                self._try_at = now + self._try_pause

    @property
    def target(self) -> float:
        """How many connections to keep while others lack some; infinite if none does, as far as is known."""
        plan = self._plan
        return plan.door_target if self._clock() >= plan.door_at else plan.target

    def begin_to_yield(self, busy: int, held_for: float) -> bool:
        """Return whether a connection that comes back is to be closed, as others lack it, or may.

        :param busy: how many are in use, this one too.
        :param held_for: for how long the pool has had connections (seconds).
        """
        if busy <= self.target or not self.is_followed or not (busy > 1 or self._is_turn_over(held_for)):
            return False
        self._yielded_at = self._clock()
        # The next list says whether the room is for another.
        self._plan.cap = min(self._plan.cap, max(1, self.target))
        return True

    @property
    def outside(self) -> int:
        """How many pools there are more than connections, as far as is known; 0 or less for none."""
        return self._company.count(self._clock()) + 1 - (0 if self.standing is None else self.standing.room)

    def _is_turn_over(self, held_for: float) -> bool:
        """Return whether the only connection has been kept for long enough.

        A pool whose load ebbs keeps it a little longer: mostly it is done before it could come in again, and would hold
        up others then.
        """
        turn = LEAST_TURN if self.outside > 0 or self._company.has_news(self._clock()) else LONG_TURN
        return held_for >= turn + (EBB if self._is_ebbing else 0.0)

    def idle_timeout(self, usual: float | None) -> float | None:
        """Return for how long connections may be idle (seconds)."""
        if self._plan.target < math.inf and self.is_followed:
            return IDLE_GRACE if usual is None else min(usual, IDLE_GRACE)
        return usual
