"""How one pool stands among the others of the list: its fair share, and the room that it may grow into."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from .badge import Badge
from .census import Census, Member, Scope
from .shares import fill

#: A pool that has told nothing new for so long isn't counted on to want more, or to give anything back, in seconds.
SILENT_AFTER = 4.0
#: For how long a pool that has come in is taken as a sign that others may follow, in seconds: those outside have tried
#: two or three times by then.
YOUNG = 1.0
#: How many pools that were there before are taken to come back in the wake of each that has just come, at the most.
FOLLOWERS = 2
#: Kept free, so that a pool that has none comes in at once, and is seen: one, as all the others pay for it.
RESERVE = 1
#: From this limit on that is kept free also by a pool that knows of nobody else: it costs two percent at the most.
ALWAYS_KEPT_FROM = 50
#: The part of the pools that look more often while there are turns, as theirs may be over: one in so many. The others,
#: who have nothing to decide, look so much more seldom that all together look no more than else.
NEXT_TO_LEAVE = 4
_PACE_OF_NEXT, _PACE_OF_OTHERS = 0.5, 2.0


@dataclass(frozen=True)
class Own:
    """What a pool knows of itself at one moment."""

    limit: int
    #: Connections that are open, or being opened.
    size: int
    #: The same, and those that are being closed.
    slots: int
    #: Connections that are open, so that the list has them under some name.
    opened: int
    #: Those in use or being opened, or idle since a moment ago.
    busy: int
    waiting: int
    #: For how long it has had connections (seconds).
    held_for: float
    #: Connections to other servers, each of which has its own limit, so that none of the above counts them.
    elsewhere: int = 0

    @property
    def demand(self) -> int:
        """How many connections the pool could use."""
        return min(self.limit, self.busy + self.waiting)


@dataclass(frozen=True)
class Standing:
    """What the list says of one pool."""

    #: What the fleet may have together, the limit that this follows from, and how many pools the fleet has.
    budget: int
    scope: Scope
    pools: int
    #: How many connections there are for pools, what is kept free too.
    room: int
    #: All sessions that the list has, and whether the server would refuse another one.
    sessions: int
    is_full: bool
    #: The pool's fair share.
    target: int
    #: How many connections it may grow to.
    cap: int
    #: Whether a connection is kept free for others.
    has_reserve: bool
    #: Whether it is for this pool to leave room to others now and then, as all is taken, and none kept free.
    is_doorkeeper: bool
    #: For how long no pool has come to a new connection; less than 0 if that is hidden (seconds).
    newest: float
    #: Whether others have come in a moment ago.
    has_newcomers: bool
    #: The time until the next look, in parts of the usual.
    pace: float
    #: Whether the pool has more connections than it could if all others came back that were there not long ago.
    has_more: bool
    #: Whether the list has sessions of this pool that it knows nothing of any more: they are about to go.
    has_remains: bool
    #: Whether some pool lacks connections, or could if others didn't close idle ones.
    is_contested: bool
    #: Whether all pools together could reach the limit.
    is_crowded: bool
    #: Whether even twice as many couldn't.
    is_roomy: bool


class Silence:
    """When each pool has last told something new, by this process's clock: those of others are not compared."""

    def __init__(self) -> None:
        self._heard: dict[str, tuple[int, float]] = {}

    def observe(self, census: Census, now: float) -> None:
        """Record which badges are new."""
        heard = {}
        for scope in census.scopes:
            for token, member in scope.members.items():
                sequence, since = self._heard.get(token, (-1, now))
                heard[token] = (sequence, since) if member.badge.sequence == sequence else (member.badge.sequence, now)
        self._heard = heard

    def is_silent(self, badge: Badge, now: float) -> bool:
        """Return whether a pool has told nothing new for a while: it is dead, or busy with long queries, or content."""
        return now - self._heard[badge.token][1] >= SILENT_AFTER


def judge(
    census: Census,
    token: str,
    own: Own,
    is_silent: Callable[[Badge], bool],
    *,
    is_company_expected: bool,
    absent: int,
) -> Standing:
    """Return how the pool with this token stands, by the limit that is the tightest for it.

    :param is_company_expected: whether pools may want to come in that aren't in the list.
    :param absent: how many were in a list not long ago, and aren't in this one.
    """
    views = [_View(scope, token, own, is_silent, is_company_expected, absent) for scope in census.scopes]
    tightest = min(views, key=lambda view: (view.target, view.cap))
    narrowest = min(views, key=lambda view: view.budget)
    return Standing(
        budget=narrowest.budget,
        scope=narrowest.scope,
        room=min(view.scope.limit - view.strangers for view in views),
        pools=max(len(view.live) for view in views) + 1,
        sessions=max(view.scope.sessions for view in views),
        is_full=census.is_full,
        target=tightest.target,
        cap=min(view.cap for view in views),
        has_reserve=all(view.reserve for view in views),
        is_doorkeeper=any(view.is_doorkeeper for view in views),
        newest=min(view.newest for view in views),
        has_newcomers=tightest.has_newcomers,
        pace=tightest.pace,
        has_more=any(view.has_more for view in views),
        has_remains=any(view.has_remains for view in views),
        is_contested=any(view.is_contested for view in views),
        is_crowded=any(view.could_take(1) for view in views),
        is_roomy=not any(view.could_take(2) for view in views),
    )


class _Row(NamedTuple):
    """What a pool wants, has, and may have."""

    token: str
    demand: int
    sessions: int
    most: int
    #: For how long its oldest session has been open, and its newest (seconds).
    age: float
    newest: float


class _View:
    """One limit as one pool sees it."""

    def __init__(
        self,
        scope: Scope,
        token: str,
        own: Own,
        is_silent: Callable[[Badge], bool],
        is_company_expected: bool,
        absent: int,
    ) -> None:
        self.scope = scope
        self._token = token
        self._own = own
        mine = scope.members.get(token)
        others = [member for member in scope.members.values() if member.badge.token != token]
        #: The other pools that take part.
        self.live = [member for member in others if not is_silent(member.badge)]
        # A holder may have renamed one of ours.
        renamed = max(0, own.opened - (0 if mine is None else mine.sessions))
        self.strangers = strangers = max(0, scope.strangers - renamed)
        #: What all pools may have by their own limits, silent ones too.
        self._limits = own.limit + sum(member.badge.limit for member in others)
        fixed = strangers + sum(member.sessions for member in others) - self._sessions_of_live()
        wanting = sum(member.badge.demand > 0 for member in self.live) + 1
        # Strangers that have more may be another role's pools, whose names are hidden: those keep one free.
        are_strangers_ahead = not others and own.size + RESERVE < strangers
        is_kept = (
            (strangers and not are_strangers_ahead)
            or is_company_expected
            or (wanting + RESERVE >= scope.limit if others else scope.limit >= ALWAYS_KEPT_FROM)
        )
        #: How much is kept free.
        self.reserve = RESERVE if is_kept else 0
        self._left = scope.limit - fixed - self.reserve
        #: What the pools may have together. Strangers can't squeeze them below one each, for half of the limit.
        self.budget = max(self._left, min(wanting, scope.limit // 2), 1)
        if self.budget > self._left and not strangers:
            self.reserve = 0  # Silent pools have the rest, and so this one leaves room as if none were to be kept free.
        #: Free for the pools to grow into, beside the reserve, when what this pool is closing has gone.
        closing = own.slots - own.size
        self._usable = max(
            0, self._left - self._sessions_of_live() - max(own.size, 0 if mine is None else mine.sessions - closing)
        )
        self.has_remains = mine is not None and mine.sessions > own.slots
        self._age_of_own = own.held_for if mine is None or mine.age < 0 else mine.age
        #: Whether there is no more than one for each, so that pools may leave to let others in.
        has_turns = bool(self.live) and wanting >= self.budget
        young = sum(0 <= member.age < YOUNG for member in self.live)
        #: How many more are taken to come in their wake, with a wish for one each.
        self._followers = min(absent, FOLLOWERS * young)
        #: The least that the pool could have if all came that there are, those that were there not long ago too.
        self._least_share = max(1, self.budget // (1 + len(self.live) + absent))
        self.has_more = own.size > self._least_share
        #: Whether others have come in a moment ago, and not all may find room.
        self.has_newcomers = not has_turns and self.could_take(1) and young > 0
        self._judge(mine, absent, has_others=bool(others))
        self.pace = self._pace_of_turns() if has_turns else 1.0

    def _sessions_of_live(self) -> int:
        return sum(member.sessions for member in self.live)

    def could_take(self, times: int) -> bool:
        """Return whether so many of each pool could take all that there is."""
        return times * self._limits >= self.scope.limit - self.strangers

    def _judge(self, mine: Member | None, absent: int, *, has_others: bool) -> None:
        own = self._own
        self._rows = sorted(
            [
                *(
                    _Row(
                        each.badge.token,
                        each.badge.demand,
                        each.sessions,
                        max(each.badge.limit, each.sessions),
                        each.age,
                        each.newest,
                    )
                    for each in self.live
                ),
                _Row(
                    self._token,
                    own.demand,
                    own.size,
                    max(own.limit, own.size),
                    self._age_of_own,
                    self._age_of_own if mine is None else mine.newest,
                ),
            ],
            # What can't be divided goes to those that have it; if it is free, to who has opened none for longest.
            key=lambda row: (-row.sessions, -row.newest, row.token),
        )
        self._place = next(index for index, row in enumerate(self._rows) if row.token == self._token)
        self.newest = min(row.newest for row in self._rows)
        # Silent pools have no connection that comes back, for as long as their queries are long.
        doorkeeper = self._rows[0].token
        self.is_doorkeeper = bool(
            has_others and not self.reserve and self.scope.sessions >= self.scope.limit and doorkeeper == self._token
        )
        taken = [max(row.demand, row.sessions) for row in self._rows]
        self.is_contested = sum(taken) > self.budget
        if self.is_contested:
            shares = self._shares()
            lacking = [max(0, share - row.sessions) for share, row in zip(shares, self._rows, strict=True)]
            self.target = shares[self._place]
        else:
            lacking = [row.most - has for row, has in zip(self._rows, taken, strict=True)]
            lacking = fill(lacking, self.budget - sum(taken))
            lacking[self._place] += taken[self._place] - own.size
            self.target = own.limit
        growth = fill(lacking, self._usable)[self._place]
        if self.has_newcomers:
            # Not into all that others, still outside, come for. How many those are is known if they were there before.
            known = self._least_share - own.size if absent else 0
            growth = min(growth, max(1, own.size, known))
        self.cap = min(self.target, own.size + growth)

    def _pace_of_turns(self) -> float:
        ages = sorted((row.age for row in self._rows if row.demand), reverse=True)
        is_next = not ages or self._age_of_own >= ages[len(ages) // NEXT_TO_LEAVE]
        return _PACE_OF_NEXT if is_next else _PACE_OF_OTHERS

    def _shares(self) -> list[int]:
        """Return what each may have; this pool, which may soon want more, as if it wanted all that it may have."""
        wishes = [row.demand for row in self._rows]
        wishes[self._place] = self._own.limit
        wanting = [index for index, wish in enumerate(wishes) if wish]
        if len(wanting) <= self.budget:
            return fill(wishes + [1] * self._followers, self.budget)[: len(wishes)]
        # One each, and not for all: those that have had theirs for longest are to leave it.
        wanting.sort(key=lambda index: (self._rows[index].age, self._rows[index].token))
        stay = set(wanting[: self.budget])
        return [int(index in stay) for index in range(len(wishes))]
