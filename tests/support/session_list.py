"""The session list of a simulated server, grouped as the real query does it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from django_geventpool.pool.fleet.census import Sessions


def grouped(ages: Iterable[tuple[str, float]], *, are_ages_hidden: bool = False) -> list[Sessions]:
    """Return the groups of sessions of one role and database.

    :param ages: the name of each session, and for how long it has been open (seconds).
    """
    by_name: dict[str, list[float]] = defaultdict(list)
    for name, age in ages:
        by_name[name].append(-1.0 if are_ages_hidden else age)
    return [Sessions(len(group), True, True, max(group), name, min(group)) for name, group in by_name.items()]
