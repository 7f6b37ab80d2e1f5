"""The fleet in words: what a pool has seen in the server's session list, and whose limit it is that all share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import connections

from django_geventpool.pool.fleet.view import limit_in_words, others_in_words
from django_geventpool.pool.messages import count

from .text import seconds

UNREADABLE = "not known: the server's session list can't be read, or a pooler is in between"
#: The settings of Django's that have the names of those whose limit it may be.
_OWNERS = {"role": "USER", "database": "NAME"}


def owner_of(scope: str, alias: str) -> str:
    """Return the name of the role or database of an alias whose limit is shared; empty where the settings have none."""
    return str(connections.settings.get(alias, {}).get(_OWNERS.get(scope, "")) or "")


def demand(pool: Mapping[str, Any]) -> int:
    """Return how many connections a pool could use now."""
    return int(min(pool["limit"], pool["in_use"] + pool["connecting"] + pool["waiting"]))


def describe(pool: Mapping[str, Any]) -> str:
    """Return what a pool's last look has shown; empty if there was none, or its worker has an older version."""
    fleet = pool.get("fleet")
    if fleet is None:
        return UNREADABLE if pool.get("is_fleet_readable") is False else ""
    limit = f"{fleet['limit']} ({limit_in_words(fleet['scope'], fleet['owner'])})"
    text = (
        f"limit {limit}, {count(fleet['sessions'], 'session')}: "
        f"{fleet['sessions'] - fleet['strangers']} of {count(fleet['pools'], 'pool')}, "
        f"which may have {pool['fleet_limit']} and {'wants' if fleet['pools'] == 1 else 'want'} {fleet['demand']}"
    )
    if fleet["strangers"]:
        text += f", {fleet['strangers']} of others ({others_in_words(fleet['others'], fleet['strangers'])})"
    return f"{text}; seen {seconds(fleet['age'])} ago"
