"""What a pool's last look at the session list has shown, for operators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...text import printable
from .census import Scope
from .policy import Fleet

#: Of so many others the names are shown, those with most sessions first.
_MOST_NAMES = 5
_LIMITS = {
    "role": "CONNECTION LIMIT of the role",
    "database": "CONNECTION LIMIT of the database",
    "server": "max_connections without reserved ones",
}


@dataclass(frozen=True)
class FleetView:
    """The last look at the server's session list; read without asking the server again."""

    #: For how long it is past, in seconds.
    age: float
    #: Which limit leaves least to the pools together: that of the "role", the "database" or the "server".
    scope: str
    #: That limit, and how many sessions count against it.
    limit: int
    sessions: int
    #: How many pools have any of them, how many connections these could use, and may have by their MAX_CONNS.
    pools: int
    demand: int
    max_conns: int
    #: How many sessions are no pool's, and most of them by ``application_name`` or as "role" and the name of another.
    strangers: int
    others: Mapping[str, int]


def fleet_numbers(fleet: Fleet, now: float) -> dict[str, Any]:
    """Return what the last look has shown, by the names of ``PoolStats``.

    :param now: monotonic seconds, by the fleet's clock.
    """
    standing = fleet.standing if fleet.is_readable else None
    return {
        "fleet_limit": 0 if standing is None else standing.budget,
        "fleet_share": 0 if standing is None else standing.target,
        "fleet": None if standing is None else view_of(standing.scope, now - fleet.looked_at),
        "is_fleet_readable": fleet.is_readable,
    }


def view_of(scope: Scope, age: float) -> FleetView:
    """Return what a list has shown of one limit, so many seconds ago."""
    badges = [member.badge for member in scope.members.values()]
    most = sorted(scope.others.items(), key=lambda entry: (-entry[1], entry[0]))[:_MOST_NAMES]
    return FleetView(
        age=age,
        scope=scope.kind,
        limit=scope.limit,
        sessions=scope.sessions,
        pools=len(badges),
        demand=sum(badge.demand for badge in badges),
        max_conns=sum(badge.limit for badge in badges),
        strangers=scope.strangers,
        others={printable(name) or "unnamed": number for name, number in most},
    )


def limit_in_words(scope: str, owner: str) -> str:
    """Return which limit it is.

    :param owner: the name of the role or the database; empty if it isn't known.
    """
    return f"{_LIMITS.get(scope, scope)} {printable(owner)}".rstrip() if scope != "server" else _LIMITS[scope]


def others_in_words(others: Mapping[str, int], strangers: int) -> str:
    """Return who has how many of the sessions that are no pool's."""
    named = [f"{name} {number}" for name, number in others.items()]
    more = strangers - sum(others.values())
    return ", ".join([*named, f"and {more} more"] if more else named)
