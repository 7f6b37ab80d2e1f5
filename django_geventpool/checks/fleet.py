"""Checks of the limit that the pools of all processes share, by the server's session list."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage, Info
from django.core.checks import Warning as CheckWarning
from django.db import DatabaseError, connections

from .. import options
from ..drivers.server import session_list_query
from ..pool.fleet import badge
from ..pool.fleet.census import Census, Scope, parse
from ..pool.fleet.view import limit_in_words, others_in_words, view_of
from ..pool.messages import count
from . import ids

_HINT = (
    "Pools share by demand, and the sum of their MAX_CONNS may be more than the limit: MAX_CONNS is what one process "
    "may have at the most."
)


def check_fleet(alias: str) -> Iterator[CheckMessage]:
    """Yield what the server's session list says of the limit; given that a connection is open, to the server itself."""
    try:
        census = _read(alias)
        reason = "" if census.is_readable else "it hides the names of the role's own sessions"
    except (DatabaseError, ValueError) as error:
        reason = str(error).strip()
    if reason:
        yield CheckWarning(
            f'DATABASES["{alias}"]: the server does not say whose sessions are whose, so processes that share a limit '
            f"can't see each other: {reason}",
            hint="Keep MAX_CONNS, times the number of processes, within the limit, or else they wait for each other "
            "without knowing how many need connections.",
            id=ids.SESSION_LIST_UNREADABLE,
        )
        return
    warnings = [
        *_check_own_limit(alias, census),
        *_check_number_of_pools(alias, census),
        *_check_min_conns(alias, census),
    ]
    yield from warnings or _tell(alias, census)


def _read(alias: str) -> Census:
    connection = connections[alias]
    with connection.cursor() as cursor:
        cursor.execute(session_list_query(None))
        (text,) = cursor.fetchone()
    return parse(text, connection.connection.info.backend_pid)


def _check_own_limit(alias: str, census: Census) -> Iterator[CheckMessage]:
    limit = _max_conns(alias)
    scope = min(census.scopes, key=lambda scope: scope.limit)
    if limit > scope.limit:
        yield CheckWarning(
            f'DATABASES["{alias}"]["OPTIONS"]: MAX_CONNS is {limit}, but {_name(alias, scope)} allows {scope.limit} '
            "connections, for all processes together.",
            hint=f"Have that raised, or set MAX_CONNS to {scope.limit} or less: what one process may have at the most, "
            "while others need none. There is no need to divide the limit.",
            id=ids.LIMIT_ABOVE_SERVERS,
        )


def _check_number_of_pools(alias: str, census: Census) -> Iterator[CheckMessage]:
    scope = _narrowest(census)
    room = scope.limit - scope.strangers
    if len(scope.members) > 1 and len(scope.members) >= room:
        yield CheckWarning(
            f"{_facts(alias, scope)} There is hardly a connection for each: where more processes need one, they take "
            "turns.",
            hint="Have the limit raised, or run fewer processes.",
            id=ids.MORE_POOLS_THAN_CONNECTIONS,
        )


def _check_min_conns(alias: str, census: Census) -> Iterator[CheckMessage]:
    scope = _narrowest(census)
    room = scope.limit - scope.strangers
    least, pools = _options(alias).MIN_CONNS, len(scope.members)
    if pools > 1 and pools < room <= least * pools:
        yield CheckWarning(
            f"{_facts(alias, scope)} MIN_CONNS is {least}: if all {pools} pools keep as many open, although idle, "
            "there is none left for who needs more.",
            hint=f"Set MIN_CONNS to {(room - 1) // pools} or less, or have the limit raised.",
            id=ids.MIN_CONNS_TAKE_ALL,
        )


def _tell(alias: str, census: Census) -> Iterator[CheckMessage]:
    scope = _narrowest(census)
    if scope.kind != "server" or len(scope.members) > 1:
        yield Info(_facts(alias, scope), hint=_HINT, id=ids.SHARED_LIMIT)


def _narrowest(census: Census) -> Scope:
    """Return the limit that leaves least to pools."""
    return min(census.scopes, key=lambda scope: scope.limit - scope.strangers)


def _facts(alias: str, scope: Scope) -> str:
    """Return the limit, what the pools in the list may have, and who else has sessions."""
    own = badge.read(_connection(alias).info.parameter_status("application_name") or "")
    others = dict(scope.members)
    if own is not None:
        others.pop(own.token, None)
    pools = (
        f"{count(len(others), 'other pool is', 'other pools are')} in the list, with MAX_CONNS "
        f"{sum(member.badge.limit for member in others.values())} in all"
        if others
        else "no other pool is in the list"
    )
    text = (
        f'DATABASES["{alias}"]: {_name(alias, scope)} allows {scope.limit} connections, for all processes together. '
        f"MAX_CONNS is {_max_conns(alias)} here; {pools}"
    )
    if scope.strangers:
        seen = view_of(scope, 0)
        sessions = count(seen.strangers, "session belongs", "sessions belong")
        text += f"; {sessions} to none ({others_in_words(seen.others, seen.strangers)})"
    return f"{text}."


def _name(alias: str, scope: Scope) -> str:
    info = _connection(alias).info
    return limit_in_words(scope.kind, {"role": info.user, "database": info.dbname}.get(scope.kind, ""))


def _connection(alias: str) -> Any:
    return connections[alias].connection


def _max_conns(alias: str) -> int:
    return _options(alias).MAX_CONNS


def _options(alias: str) -> options.PoolOptions:
    return options.split(connections[alias].settings_dict["OPTIONS"])[0]
