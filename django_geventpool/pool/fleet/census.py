"""The server's session list as the pools of a fleet read it: which pool has how many sessions, and who else has any."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from .badge import Badge, read


@dataclass
class Member:
    """A pool in the list."""

    badge: Badge
    sessions: int = 0
    #: For how long its oldest session has been open, by the server's clock (seconds); less than 0 if that is hidden.
    age: float = -1.0
    #: For how long its newest has been open (seconds); less than 0 if that is hidden.
    newest: float = math.inf

    def add(self, badge: Badge, group: Sessions) -> None:
        """Count sessions of this pool; the newest badge holds, or that of the connection it has opened since."""
        if (badge.sequence, badge.demand) > (self.badge.sequence, self.badge.demand):
            self.badge = badge
        self.sessions += group.number
        self.age = max(self.age, group.age)
        self.newest = min(self.newest, group.age if group.newest is None else group.newest)


@dataclass
class Scope:
    """One limit, and the sessions that count against it."""

    #: "role", "database" or "server".
    kind: str
    limit: int
    members: dict[str, Member] = field(default_factory=dict)
    #: Sessions that belong to no pool of the fleet, by their ``application_name``; another role's by that role.
    others: dict[str, int] = field(default_factory=dict)

    def add(self, group: Sessions, badge: Badge | None) -> None:
        """Count sessions with the same name."""
        if badge is None:
            name = group.name if group.is_own_role else f"role {group.name}"
            self.others[name] = self.others.get(name, 0) + group.number
        else:
            self.members.setdefault(badge.token, Member(badge)).add(badge, group)

    @property
    def strangers(self) -> int:
        """How many sessions belong to no pool of the fleet."""
        return sum(self.others.values())

    @property
    def sessions(self) -> int:
        """How many sessions count against the limit."""
        return self.strangers + sum(member.sessions for member in self.members.values())


@dataclass
class Census:
    """The session list at one moment."""

    #: The limits that there are; each is at least 1, so a role that may not connect any more has one too.
    scopes: list[Scope]
    #: Whether the list shows who is who. A pooler in between merges sessions, and without rights, names are hidden.
    is_readable: bool

    @property
    def is_full(self) -> bool:
        """Whether the server would refuse another session."""
        return any(scope.sessions >= scope.limit for scope in self.scopes)


@dataclass(frozen=True)
class Sessions:
    """Sessions with the same name, in the same database, of the same role."""

    number: int
    is_own_role: bool
    is_own_database: bool
    #: For how long the oldest has been open (seconds); less than 0 if that is hidden.
    age: float
    #: Their ``application_name``; the role's name if that is another one.
    name: str
    #: For how long the newest has been open, if that isn't the oldest (seconds).
    newest: float | None = None


def take(limits: Iterable[tuple[str, int]], listed: Iterable[Sessions], *, is_readable: bool) -> Census:
    """Return the census of a list.

    :param limits: the kind of each limit, and the limit; less than 0 for none.
    """
    scopes = [Scope(kind, max(1, limit)) for kind, limit in limits if limit >= 0]
    for group in listed:
        badge = read(group.name) if group.is_own_role else None
        for scope in scopes:
            if scope.kind == "server" or (group.is_own_role if scope.kind == "role" else group.is_own_database):
                scope.add(group, badge)
    return Census(scopes, is_readable)


def parse(text: str, pid: int) -> Census:
    """Return the census that the server has written: see ``SESSION_LIST_QUERY`` in ``drivers/server.py``.

    :param pid: the server's process as the client knows it; behind a pooler it is another one.
    :raises ValueError: if it isn't what that query writes.
    """
    head, *lines = text.split("\n")
    own_pid, is_named, *numbers = head.split(" ")
    limits = zip(("role", "database", "server"), map(int, numbers), strict=True)
    listed = []
    for line in lines:
        number, role, database, age, newest, name = line.split(" ", 5)
        is_own_role = role == "t"
        name = name if is_own_role else _name_of_role(name)
        listed.append(Sessions(int(number), is_own_role, database == "t", float(age), name, float(newest)))
    return take(limits, listed, is_readable=int(own_pid) == pid and is_named == "t")


def _name_of_role(escaped: str) -> str:
    """Return the name that the server has written in ASCII, with other bytes as octal numbers."""
    return escaped.encode("ascii").decode("unicode_escape").encode("latin-1").decode(errors="replace")
