"""A schema of its own, so that the demo can run in any database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management import call_command
from django.db import OperationalError, connection


@contextmanager
def migrated_schema(name: str) -> Iterator[None]:
    """Create the schema, which must be the connections' search path, and the example's tables in it.

    It is dropped at the end. In between, no connection is held.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE SCHEMA {name}")
            cursor.execute("SELECT current_schema()")
            if cursor.fetchone() != (name,):
                raise OperationalError(
                    "The server ignores the search path that its clients ask for; "
                    "give a DATABASE_URL that leads to PostgreSQL itself."
                )
        call_command("migrate", verbosity=0)
        connection.close()
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")
        connection.close()
