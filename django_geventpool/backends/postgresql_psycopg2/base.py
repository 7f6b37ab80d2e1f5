"""``ENGINE = "django_geventpool.backends.postgresql_psycopg2"``."""

from ..postgresql.base import DatabaseWrapper

__all__ = ["DatabaseWrapper"]
