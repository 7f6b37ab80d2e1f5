"""``ENGINE = "django_geventpool.backends.postgresql"``."""

from ..postgresql_psycopg2.base import DatabaseWrapper

__all__ = ["DatabaseWrapper"]
