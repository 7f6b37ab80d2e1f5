"""``ENGINE = "django_geventpool.backends.postgresql"``."""

from django.db.backends.postgresql import base

from ..first_statement import FirstStatementMixin


class DatabaseWrapper(FirstStatementMixin, base.DatabaseWrapper):
    """Django's PostgreSQL engine, with connections from a pool."""
