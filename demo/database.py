"""A schema of the demo's own, so that it can work in any database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management import call_command
from django.db import OperationalError, connection


@contextmanager
def migrated_schema(name: str) -> Iterator[None]:
    """Create the schema, which must be the connections' search path, with the example's tables.

    It is dropped at the end. No connection is held meanwhile.
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
