"""``ENGINE = "django_geventpool.backends.postgis"``."""

from django.contrib.gis.db.backends.postgis import base

from ..pooled import PooledMixin


class DatabaseWrapper(PooledMixin, base.DatabaseWrapper):
    """Django's PostGIS engine, with connections from a pool."""
