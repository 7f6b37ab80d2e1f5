"""The tables of the test app."""

from __future__ import annotations

from django.db import connections

from servers.postgres_address import Postgres

from .database import Database


def make_schema(server: Postgres) -> None:
    """Create the tables of the test app on a server."""
    from tests.testapp.models import Item

    database = Database(server, {})
    connection = connections[database.alias]
    with connection.schema_editor() as editor:
        editor.create_model(Item)
    server.query(f"REASSIGN OWNED BY {database.role} TO {server.user}")
    database.close()
