"""``ENGINE = "django_geventpool.backends.postgresql_psycopg2"``."""

from django.db.backends.postgresql import base

from ..pooled import PooledMixin


class DatabaseWrapper(PooledMixin, base.DatabaseWrapper):
    """Django's PostgreSQL engine, with connections from a pool."""
