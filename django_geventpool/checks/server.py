"""Checks that ask the server: which limit its clients share, and whether a pooler answers in its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning
from django.db import DatabaseError, connections

from .. import engines
from . import ids
from .documentation import explained
from .fleet import check_fleet
from .pooler import check_pooler
from .settings import check_database


@explained
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
    connection = connections[alias]
    was_open = connection.connection is not None
    try:
        connection.ensure_connection()  # It stays until it is closed, in mode "transaction" too.
        is_pooled = _is_pooled(alias)
        messages = [] if is_pooled else list(check_fleet(alias))
    except DatabaseError as error:
        yield CheckWarning(
            f'DATABASES["{alias}"]: the server could not be asked for its limits: {error}'.rstrip(),
            hint="Check that it runs and that its address and the role's password are right.",
            id=ids.SERVER_NOT_ASKED,
        )
        return
    finally:
        if not was_open:
            connection.close()
    yield from check_pooler(alias) if is_pooled else messages


def _is_pooled(alias: str) -> bool:
    """Return whether a pooler is in between: it makes up the process id that a client is told in the beginning."""
    connection = connections[alias]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    return bool(pid != connection.connection.info.backend_pid)
