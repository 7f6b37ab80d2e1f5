"""Pools that share one server, simulated: the policy is the real one, time and network are not."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from django_geventpool.pool.fleet.badge import read
from django_geventpool.pool.fleet.census import Census, take
from django_geventpool.pool.fleet.policy import IDLE_GRACE
from django_geventpool.pool.fleet.standing import Own
from django_geventpool.pool.server_limit import ServerLimit

from .session_list import grouped

#: Seconds.
QUERY = 0.05
CONNECT = (0.004, 0.02)
LET_GO = (0.001, 0.005)
LOOK = 0.001


class Simulation:
    """Time, the server, and the pools.

    :param limit: the role's CONNECTION LIMIT.
    """

    def __init__(self, seed: int, limit: int) -> None:
        self.random = random.Random(seed)
        self.now = 1000.0
        self.limit = limit
        self.sessions: set[Session] = set()
        #: Those that the server counts and does not list yet.
        self.arriving = 0
        self.pools: list[SimulatedPool] = []
        self.most = 0
        #: The part of looks that fail.
        self.lost_looks = 0.0
        #: Whether the list doesn't say for how long sessions are open, as after ``assume_role``.
        self.are_ages_hidden = False
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()

    def at(self, when: float, action: Callable[[], object]) -> None:
        """Run something at a time."""
        heapq.heappush(self._events, (when, next(self._numbers), action))

    def after(self, pause: float | tuple[float, float], action: Callable[[], object]) -> None:
        """Run something after a pause, or after one between two lengths."""
        self.at(self.now + (self.random.uniform(*pause) if isinstance(pause, tuple) else pause), action)

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        end = self.now + seconds
        while self._events and self._events[0][0] <= end:
            self.now, _, action = heapq.heappop(self._events)
            action()
        self.now = end

    def add(self, count: int, max_conns: int) -> list[SimulatedPool]:
        """Add pools, and return them."""
        made = [SimulatedPool(self, max_conns) for _ in range(count)]
        self.pools += made
        return made

    # The server

    def accepts(self) -> bool:
        """Return whether there is room for a session, which is arriving then."""
        if len(self.sessions) + self.arriving >= self.limit:
            return False
        self.arriving += 1
        self.most = max(self.most, len(self.sessions) + self.arriving)
        return True

    def census(self) -> Census:
        """Return the session list."""
        ages = ((each.name, self.now - each.began) for each in self.sessions)
        listed = grouped(ages, are_ages_hidden=self.are_ages_hidden)
        return take([("role", self.limit), ("database", -1), ("server", 1000)], listed, is_readable=True)


@dataclass(eq=False)
class Session:
    """A session of the server."""

    name: str
    began: float
    since: float
    is_busy: bool = False


@dataclass
class Counted:
    """What is counted of a pool between two moments."""

    queries: int = 0
    connects: int = 0
    refused: int = 0
    looks: int = 0
    longest_wait: float = 0.0


@dataclass(eq=False)
class SimulatedPool:
    """A pool that makes the decisions of the real one, with greenlets that query again and again."""

    world: Simulation
    limit: int
    #: How many greenlets there are.
    greenlets: int = 0
    query: float = QUERY
    #: For how long each greenlet does something else after a query, on average (seconds).
    pause: float = 0.0
    counted: Counted = field(default_factory=Counted)

    def __post_init__(self) -> None:
        self.server = ServerLimit(lambda: self.world.now, self.world.random.uniform)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"
        self.server.fleet.token = "".join(self.world.random.choice(digits) for _ in range(6))
        self.open: list[Session] = []
        self.connecting = self.closing = 0
        self.is_dead = False
        self._wakes_at = float("inf")
        self._last_served = self.world.now

    # What the pool knows of itself

    @property
    def in_use(self) -> int:
        return sum(session.is_busy for session in self.open)

    @property
    def size(self) -> int:
        return len(self.open) + self.connecting

    @property
    def waiting(self) -> int:
        return max(0, self.greenlets - self.in_use - self.connecting)

    def own(self) -> Own:
        recent = sum(each.is_busy or self.world.now - each.since < IDLE_GRACE for each in self.open)
        return Own(
            limit=self.limit,
            size=self.size,
            slots=self.size + self.closing,
            opened=len(self.open) + self.closing,
            busy=recent + self.connecting,
            waiting=self.waiting,
            held_for=self.server.held_for,
        )

    # What happens

    def work(self, greenlets: int) -> None:
        """Have so many greenlets that query, from now on."""
        if not self.greenlets:
            self._last_served = self.world.now
        self.greenlets = greenlets
        self.dispatch()
        self._plan()

    def die(self, noticed_after: float) -> None:
        """End at once; the server notices later."""
        self.is_dead = True
        self.greenlets = 0
        self.world.after(noticed_after, lambda: self.world.sessions.difference_update(self.open))

    def dispatch(self) -> None:
        if self.is_dead:
            return
        idle = sorted((each for each in self.open if not each.is_busy), key=lambda each: each.since)
        while self.waiting and idle:
            self._lend(idle.pop())
        while (
            self.waiting
            and self.size + self.closing < self.limit
            and self.server.may_connect(self.size, self.connecting, self.size + self.closing)
        ):
            self.connecting += 1
            name = f"x {self.server.fleet.badge(self.own())}"
            accepted = self.world.accepts()
            self.world.after(CONNECT, lambda name=name, accepted=accepted: self._connected(name, accepted))

    def _lend(self, session: Session) -> None:
        session.is_busy = True
        now = self.world.now
        self.counted.longest_wait = max(self.counted.longest_wait, now - self._last_served)
        self._last_served = now
        jitter = self.world.random.uniform(0.95, 1.05)
        self.world.after(self.query * jitter, lambda: self._come_back(session))

    def _connected(self, name: str, accepted: bool) -> None:
        if self.is_dead:
            self.world.arriving -= accepted
            return
        self.connecting -= 1
        if not accepted:
            self.counted.refused += 1
            self.server.refused(len(self.open), self.limit)
            self.dispatch()
            self._plan()
            return
        self.world.arriving -= 1
        session = Session(name, self.world.now, self.world.now)
        self.world.sessions.add(session)
        self.open.append(session)
        self.counted.connects += 1
        session.is_busy = True
        self.server.connected()
        if not self._look(session, lambda: self._opened(session)):
            self._opened(session)
            self.dispatch()
        self._plan()

    def _opened(self, session: Session) -> None:
        session.is_busy = False
        if self.greenlets > self.in_use:
            self._lend(session)
        else:
            self._put_idle(session)

    def _come_back(self, session: Session) -> None:
        if self.is_dead:
            return
        self.counted.queries += 1
        if self.pause:
            self.greenlets -= 1
            self.world.after(self.world.random.expovariate(1 / self.pause), self._query_again)
        if not self._look(session, lambda: self._take_back(session)):
            self._take_back(session)

    def _query_again(self) -> None:
        if not self.is_dead:
            self.work(self.greenlets + 1)

    def _is_lacking(self) -> bool:
        return self.waiting > 0 or self.server.fleet.has_all(len(self.open))

    def _look(self, session: Session, then: Callable[[], None]) -> bool:
        is_probe = self._is_lacking() and self.server.begin_probe_if_due(len(self.open))
        own = self.own()
        badge = self.server.fleet.begin_look(own) if is_probe else self.server.fleet.begin_look_if_due(own)
        if badge is None:
            return False
        self.counted.looks += 1

        def read_list() -> None:
            if self.is_dead:
                return
            if self.world.random.random() >= self.world.lost_looks:
                session.name = f"x {badge}"
                census = self.world.census()
                self.server.fleet.record(census, self.own())
                assert read(session.name)
                if is_probe and census.is_full and self._is_lacking():
                    self._close(session, leaves=True)
                    self.server.record_yield(self.size)
                    self.dispatch()
                    self._plan()
                    return
            then()
            self.dispatch()
            self._plan()

        self.world.after(LOOK, read_list)
        return True

    def _take_back(self, session: Session) -> None:
        if self.server.begin_to_yield(self.in_use + self.connecting, self.size - 1):
            self._close(session, leaves=True)
            self.dispatch()
        elif self.greenlets > self.in_use - 1 + self.connecting:
            session.is_busy = False
            self._lend(session)
        else:
            self._put_idle(session)
        self._plan()

    def _put_idle(self, session: Session) -> None:
        session.is_busy = False
        session.since = self.world.now
        self._plan()

    def _close(self, session: Session, *, leaves: bool = False) -> None:
        self.open.remove(session)
        self.closing += 1

        def let_go() -> None:
            self.closing -= 1
            self.world.sessions.discard(session)
            if leaves:
                self.server.leave_to_others()
            self.dispatch()

        self.world.after(LET_GO, let_go)

    # The housekeeper

    def _plan(self) -> None:
        now = self.world.now
        fleet = self.server.fleet
        times = [self.server.next_wake(now)] if self.waiting else []
        idle = [each for each in self.open if not each.is_busy]
        timeout = self.server.idle_timeout(60.0)
        assert timeout is not None
        times += [each.since + timeout for each in idle]
        if idle:
            times.append(max(fleet.look_at(self.size, self.waiting, self.limit), now))
        if self.waiting:
            times.append(max(fleet.grow_at(), now + 0.001))
        when = min(times, default=float("inf"))
        if when < self._wakes_at or self._wakes_at <= now:
            self._wakes_at = when
            if when < float("inf"):
                self.world.at(when, lambda: self._keep_house(when))

    def _keep_house(self, when: float) -> None:
        if self.is_dead or when != self._wakes_at:
            return
        self._wakes_at = float("inf")
        now = self.world.now
        timeout = self.server.idle_timeout(60.0)
        assert timeout is not None
        idle = [each for each in self.open if not each.is_busy]
        for session in idle:
            if session.since + timeout <= now + 1e-9:
                self._close(session)
        idle = [each for each in self.open if not each.is_busy]
        if idle and now >= self.server.fleet.look_at(self.size, self.waiting, self.limit):
            session = idle[0]
            since = session.since
            session.is_busy = True

            def back() -> None:
                self._put_idle(session)
                session.since = since

            if not self._look(session, back):
                back()
        self.dispatch()
        self._plan()
