"""What a full server means: when to try again, how many at a time, and when to leave room to other processes.

``Pool._serve`` gets the refusals (``driver.is_server_full``), and queues the request again, in its old place.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

from .fleet.policy import Fleet
from .fleet.view import fleet_numbers

#: Least and most pause between attempts to connect to a full server, in seconds.
BACKOFF = (0.05, 1.0)

#: A pool that has only a part of its limit pauses for that part of the longest pause at the most, but not for less than
#: this part: so pools with few connections try more often.
NEEDY = 0.5

#: Least and most pause after a connection was closed for others, in parts of the longest pause: more than NEEDY, so
#: that pools with few connections try first.
LEFT_TO_OTHERS = (0.55, 0.8)

#: Pauses of a pool without any connection: the first, from which they double, the longest, and the least, to which they
#: fall in the time that is the last; all in seconds. The first are short, as others make room within a look; the last
#: get shorter again, so that who has been outside for longest tries most often.
OUTSIDE = (0.2, 0.35, 0.3, 4.0)
OUTSIDE_JITTER = (0.6, 1.2)
#: The same for a pool that has never had a connection, for its first seconds outside: as nobody counts on it, it has to
#: be there in the moment in which others leave room.
UNKNOWN_JITTER, UNKNOWN_FOR = (0.5, 0.9), 1.5

#: How long a pool that has the server for itself leaves room to others, in parts of the longest pause: longer than the
#: pause of a pool without any connection.
DOOR_OPEN = (0.6, 0.8)
#: The same for a pool that does so in the name of a fleet, which has others for the next time.
DOOR_OPEN_IN_COMPANY = (0.35, 0.45)

#: How long a pool that has left its only connection to others stays outside, for each that is known to be there, and at
#: most, in parts of the longest pause: about as long as those need to come in before it. While it doesn't try, fewer
#: are refused. The most is less than tasks usually wait (CONN_WAIT_TIMEOUT).
AFTER_TURN = (0.35, 0.45)
LONGEST_OUTSIDE = 10.0

#: For how long at least a pool keeps each of its connections while others are known to want it, in seconds.
TIME_SLICE = 8.0

#: Least and most time between two probes whether the server is full, while nobody else is known to want a connection,
#: in seconds. Each is twice the one before, as processes that start together soon learn what each of them can have.
PROBE_INTERVAL = (1.0, 10.0)

#: The most is less for many connections, of which one costs less: this, in seconds, divided by their number.
PROBE_INTERVAL_OF_ONE = 50.0

#: For how long a server that was full is taken to be so still, in seconds.
FULL_FOR = 60.0

#: How long a connection of such a server may be idle, in seconds.
IDLE_AT_FULL_SERVER = 5.0

Uniform = Callable[[float, float], float]


class ServerLimit:
    """When to connect to a server that was full, and how many at a time. The pool calls each method with its lock held.

    :param clock: monotonic seconds.
    :param uniform: a random number between two others.
    """

    def __init__(self, clock: Callable[[], float], uniform: Uniform = random.uniform) -> None:
        self._clock = clock
        self._uniform = uniform
        #: What the session list says; that and when to yield where it says nothing of others.
        self.fleet = Fleet(clock, uniform)
        #: When to leave room to others that the list doesn't show, or not yet.
        self.share = FairShare(clock, uniform)
        #: While the server is full: the last pause between attempts (seconds), and no connect before this time.
        self.backoff = 0.0
        self.retry_at = 0.0
        #: When connecting failed last (monotonic seconds); None if it has succeeded since, or has not failed.
        self.failed_at: float | None = None
        #: Since when the pool stands outside, without a connection (monotonic seconds); None if it doesn't.
        self._outside_since: float | None = None
        #: Since when it has had connections (monotonic seconds); None if it has had none since it left the last.
        self._inside_since: float | None = None
        #: How many may connect at the same time.
        self.max_connecting = math.inf

    def may_connect(self, size: int, connecting: int, slots: int, *, can_wait: bool = True) -> bool:
        """Return whether another may connect.

        After a refusal one at a time may, and after each success one more.

        :param size: how many connections are open, or being opened.
        :param connecting: how many are being opened.
        :param slots: how many are open, or being opened or closed.
        :param can_wait: whether whoever asks can wait for those.
        """
        return (
            not (self.backoff and self._clock() < self.retry_at)
            and connecting < self.max_connecting
            and (connecting < self.fleet.max_connecting(size - connecting) or not can_wait)
            and self.fleet.may_grow(size, slots)
        )

    def connected(self) -> None:
        """Record that the server had room."""
        if self._inside_since is None:
            self._inside_since = self._clock()
            self.fleet.came_in()
        self._outside_since = None
        self.backoff = self.retry_at = 0.0
        self.failed_at = None
        self.max_connecting += 1

    def failed(self) -> None:
        """Record that connecting failed for another reason than a full server."""
        self.failed_at = self._clock()

    def numbers(self, now: float) -> dict[str, Any]:
        """Return what is known of the server, by the names of ``PoolStats``."""
        failed_ago = None if self.failed_at is None else now - self.failed_at
        return {"connect_failed_ago": failed_ago, **fleet_numbers(self.fleet, now)}

    def refused(self, size: int, limit: int) -> None:
        """Record that the server was full: nobody connects before a pause, while our own connections are lent on.

        :param size: how many connections the pool has.
        :param limit: how many it may have.
        """
        if self.backoff and self._clock() < self.retry_at:
            return  # Several tried at the same time.
        self.failed_at = None
        self.share.refused(size)
        self.fleet.refused(size)
        if size == 0 and self.fleet.is_readable is not False:
            self._stand_outside()
            return
        least, most = BACKOFF
        most *= min(1.0, max(NEEDY, size / limit))
        # Workers that share a full server should not come back all at the same time.
        self._pause(min(max(2 * self.backoff, least), most), self._uniform(0.5, 1))

    def _stand_outside(self) -> None:
        """Pause, the less the longer the pool has been without a connection."""
        now = self._clock()
        if self._outside_since is None:
            self._outside_since = now
        first, longest, least, patience = OUTSIDE
        waited = min(1.0, (now - self._outside_since) / patience)
        pause = min(max(2 * self.backoff, first), longest + (least - longest) * waited)
        is_unknown = self.fleet.standing is None and now - self._outside_since < UNKNOWN_FOR
        self._pause(pause, self._uniform(*(UNKNOWN_JITTER if is_unknown else OUTSIDE_JITTER)))

    def record_yield(self, left: int) -> None:
        """Record that a connection will be closed to leave its room on a full server to other processes.

        :param left: how many the pool still has.
        """
        self.share.record_yield()
        if left == 0:
            self._inside_since = None
            self._outside_since = self._clock()
            pause = max(1, self.fleet.outside) * self._uniform(*AFTER_TURN)
            self._pause(BACKOFF[1], min(pause, LONGEST_OUTSIDE))
        else:
            self.leave_to_others()

    @property
    def held_for(self) -> float:
        """For how long the pool has had connections (seconds)."""
        return 0.0 if self._inside_since is None else self._clock() - self._inside_since

    def may_look(self, size: int, is_waited_for: bool, limit: int, *, is_lacking: bool) -> bool:
        """Return whether a look at the session list may be due.

        :param is_lacking: whether a task waits, or somebody may who isn't known.
        """
        now = self._clock()
        return now >= self.fleet.look_at(size, is_waited_for, limit) or (
            is_lacking and now >= self.share.probe_at and self._may_probe(now)
        )

    def _may_probe(self, now: float) -> bool:
        fleet = self.fleet
        return not fleet.has_reserve and not fleet.has_company and fleet.may_be_full and now >= fleet.soon

    def begin_probe_if_due(self, size: int) -> bool:
        """Return whether a pool that keeps nothing free is to yield if the server is full, as somebody may wait."""
        return self._may_probe(self._clock()) and self.share.begin_probe_if_due(size)

    def idle_timeout(self, usual: float | None) -> float | None:
        """Return how long a connection may be idle (seconds): less than usual if others may need it."""
        if self.fleet.is_full or self.share.was_full():
            usual = IDLE_AT_FULL_SERVER if usual is None else min(usual, IDLE_AT_FULL_SERVER)
        return self.fleet.idle_timeout(usual)

    def begin_to_yield(self, busy: int, left: int) -> bool:
        """Return whether a connection that comes back is to be left to other processes; if so, record that.

        :param busy: how many are in use or being opened, this one too.
        :param left: how many the pool has beside it.
        """
        is_yielded = self.fleet.begin_to_yield(busy, self.held_for)
        if is_yielded:
            self.record_yield(left)
        return is_yielded

    def leave_to_others(self) -> None:
        """Hold all connects back for a while: others can have the room only when the server has let go of it.

        Where one is kept free, the session list says what room there is.
        """
        fleet = self.fleet
        if not fleet.has_reserve or not fleet.is_followed:
            fleet.expect_company()
            open_for = DOOR_OPEN_IN_COMPANY if fleet.has_company and fleet.is_followed else DOOR_OPEN
            self._pause(BACKOFF[1], self._uniform(*(LEFT_TO_OTHERS if fleet.is_readable is False else open_for)))

    def _pause(self, backoff: float, part: float) -> None:
        self.backoff = backoff
        self.max_connecting = 1
        self.retry_at = max(self.retry_at, self._clock() + backoff * part)

    def next_wake(self, now: float) -> float:
        """Return when waiters may connect again, which they don't notice by themselves; infinite if they may now."""
        return self.retry_at if self.backoff and self.retry_at > now else math.inf


class FairShare:
    """When a pool that knows of no others yields a connection, although tasks of its own may want it.

    A pool that has all connections it may have opens no more, and so hears nothing of others that find the server full:
    they would wait until it has nothing to do. So now and then, when a connection comes back and somebody waits for it,
    or the pool has all that the server has for it, the pool probes over it whether the server is full. If so, it closes
    the connection, and leaves the room to others for longer than a pool with few connections pauses between its
    attempts. If somebody has taken the room, the next probe comes soon, sooner for a pool with many connections than
    for one with few. If the pool gets all its connections back, it probes less and less often.

    The only connection is never given up: each process needs room for one.

    :param clock: monotonic seconds.
    :param uniform: a random number between two others.
    """

    def __init__(self, clock: Callable[[], float], uniform: Uniform = random.uniform) -> None:
        self._clock = clock
        self._uniform = uniform
        #: How long the next pause will be if nobody else is known to want a connection.
        self._probe_pause = PROBE_INTERVAL[0]
        #: No probe before this time (monotonic seconds).
        self.probe_at = clock() + self._probe_pause
        #: Whether others are known to want more connections than there are.
        self._is_contested = False
        #: When the server was last known to be full.
        self._full_at = -math.inf

    def begin_probe_if_due(self, size: int) -> bool:
        """Return whether a pool with so many connections is to probe; if so, the time until the next begins."""
        now = self._clock()
        if size < 2 or now < self.probe_at:
            return False
        self._begin(size)
        return True

    def _begin(self, size: int) -> None:
        if self._is_contested and self.was_full():
            pause = TIME_SLICE / size
        else:
            pause = self._probe_pause
            self._probe_pause = min(2 * pause, PROBE_INTERVAL[1], PROBE_INTERVAL_OF_ONE / size)
        self.probe_at = self._clock() + pause * self._uniform(0.75, 1.25)

    def record_yield(self) -> None:
        """Record that a connection was given up: nobody is known to want it, until a refusal shows otherwise."""
        self._full_at = self._clock()
        self._is_contested = False

    def refused(self, size: int) -> None:
        """Record that the server was full: others have the connections that this pool would like."""
        self._full_at = self._clock()
        if not self._is_contested:
            self._is_contested = True
            self._probe_pause = PROBE_INTERVAL[0]
            self._begin(max(1, size))

    def was_full(self) -> bool:
        """Return whether the server was full not long ago, as far as this pool was told."""
        return self._clock() - self._full_at <= FULL_FOR
