"""``ENGINE = "django_geventpool.backends.postgis"``."""

from typing import Any

from django.contrib.gis.db.backends.postgis import base
from django.db.backends.postgresql.psycopg_any import is_psycopg3

from ..first_statement import FirstStatementMixin


class DatabaseWrapper(FirstStatementMixin, base.DatabaseWrapper):
    """Django's PostGIS engine, with connections from a pool."""

    def configure(self, connection: Any) -> None:
        """Set up a connection's session, and make psycopg 3 adapt geometries."""
        super().configure(connection)
        if is_psycopg3:
            # Django does so for the first connection of each wrapper.
            self.register_geometry_adapters(connection)
