"""``ENGINE = "django_geventpool.backends.postgresql_psycopg2"``."""

from django.db.backends.postgresql import base

from ..occupancy import OccupancyMixin


class DatabaseWrapper(OccupancyMixin, base.DatabaseWrapper):
    """Django's PostgreSQL engine, with connections from a pool."""
