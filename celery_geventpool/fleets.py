"""The fleet in words: what a pool has seen in the server's session list, and whose limit it is that all share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import connections

from django_geventpool.pool.messages import count

from .text import seconds

UNREADABLE = "not known: the server's session list can't be read, or a pooler is in between"
#: By the kind of a limit: the setting of Django's that has its owner's name, and the limit in words.
_LIMITS = {
    "role": ("USER", "CONNECTION LIMIT of the role"),
    "database": ("NAME", "CONNECTION LIMIT of the database"),
    "server": ("", "max_connections, without those that are reserved"),
}


def owner_of(scope: str, alias: str) -> str:
    """Return the name of the role or database of an alias whose limit is shared; empty where the settings have none."""
    return str(connections.settings[alias].get(_LIMITS[scope][0]) or "")


def demand(pool: Mapping[str, Any]) -> int:
    """Return how many connections a pool could use now."""
    return int(min(pool["limit"], pool["in_use"] + pool["connecting"] + pool["waiting"]))


def describe(pool: Mapping[str, Any]) -> str:
    """Return what a pool's last look has shown; empty if there was none, or its worker has an older version."""
    fleet = pool.get("fleet")
    if fleet is None:
        return UNREADABLE if pool.get("is_fleet_readable") is False else ""
    text = (
        f"limit {fleet['limit']} ({_limit(fleet)}), {count(fleet['sessions'], 'session')}: "
        f"{fleet['sessions'] - fleet['strangers']} of {count(fleet['pools'], 'pool')}, "
        f"which may have {pool['fleet_limit']} and {'wants' if fleet['pools'] == 1 else 'want'} {fleet['wanted']}"
    )
    if fleet["strangers"]:
        text += f", {fleet['strangers']} of others ({_names(fleet)})"
    return f"{text}; seen {seconds(fleet['age'])} ago"


def _limit(fleet: Mapping[str, Any]) -> str:
    words = _LIMITS[fleet["scope"]][1] if fleet["scope"] in _LIMITS else fleet["scope"]
    return f"{words} {fleet['owner']}".rstrip()


def _names(fleet: Mapping[str, Any]) -> str:
    named = [f"{name} {number}" for name, number in fleet["others"].items()]
    more = fleet["strangers"] - sum(fleet["others"].values())
    return ", ".join([*named, f"and {more} more"] if more else named)
