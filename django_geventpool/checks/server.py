"""Checks that ask the server: whether it has room for a whole pool, and whether a pooler answers in its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning
from django.db import DatabaseError, connections

from .. import engines, options
from . import ids
from .pooler import check_pooler
from .settings import check_database

#: A superuser may take reserved connections, and is not bound by the limits of roles and databases. The role is the one
#: that logged in, whichever was set later. reserved_connections came with PostgreSQL 16.
_ASK = """
SELECT pg_backend_pid(),
       current_setting('max_connections')::int - CASE WHEN rolsuper THEN 0 ELSE
           current_setting('superuser_reserved_connections')::int
           + coalesce(current_setting('reserved_connections', true)::int, 0) END,
       CASE WHEN rolsuper THEN -1 ELSE rolconnlimit END,
       CASE WHEN rolsuper THEN -1 ELSE datconnlimit END
FROM pg_roles, pg_database WHERE rolname = session_user AND datname = current_database()
"""


@dataclass(frozen=True)
class _Found:
    #: The id of the server's process, as it says when asked, and as it told the driver in the beginning.
    pid: int
    announced_pid: int
    #: How many connections there may be, by the name of each limit.
    bounds: dict[str, int]


def check_servers(databases: Sequence[str] | None = None, **_kwargs: Any) -> Sequence[CheckMessage]:
    """Check the servers of the databases that ``manage.py check --database`` names, unless their settings are wrong."""
    pooled = engines.pooled_databases() if databases else {}
    return [
        message
        for alias in databases or ()
        if alias in pooled and not any(found.is_serious() for found in check_database(alias, pooled[alias]))
        for message in check_server(alias)
    ]


def check_server(alias: str) -> Iterator[CheckMessage]:
    """Check the server of a database with a pool, over one of its connections."""
    try:
        found = _ask(alias)
    except DatabaseError as error:
        yield CheckWarning(
            f'DATABASES["{alias}"]: the server could not be asked for its limits: {error}'.rstrip(),
            hint="Check that it runs and that its address and the role's password are right.",
            id=ids.SERVER_NOT_ASKED,
        )
        return
    if found.pid != found.announced_pid:
        yield from check_pooler(alias)
        return
    limit = options.split(connections[alias].settings_dict["OPTIONS"])[0].MAX_CONNS
    bound_by, bound = min(found.bounds.items(), key=lambda item: item[1])
    if limit > bound:
        yield CheckWarning(
            f'DATABASES["{alias}"]["OPTIONS"]: MAX_CONNS is {limit}, but {bound_by} allows {bound} connections, '
            "for all processes together. Tasks will wait for the server.",
            hint="Lower MAX_CONNS to the share of each process, or have the server's limit raised.",
            id=ids.LIMIT_ABOVE_SERVERS,
        )


def _ask(alias: str) -> _Found:
    connection = connections[alias]
    was_open = connection.connection is not None
    try:
        with connection.cursor() as cursor:
            cursor.execute(_ASK)
            pid, for_all, for_role, for_database = cursor.fetchone()
            announced_pid = connection.connection.info.backend_pid
    finally:
        if not was_open:
            connection.close()
    bounds = {"the server's max_connections": for_all}
    if for_role >= 0:
        bounds["the role's CONNECTION LIMIT"] = for_role
    if for_database >= 0:
        bounds["the database's CONNECTION LIMIT"] = for_database
    return _Found(pid, announced_pid, bounds)
