"""``ENGINE = "django_geventpool.backends.postgis"``."""

from django.contrib.gis.db.backends.postgis import base

from ..occupancy import OccupancyMixin


class DatabaseWrapper(OccupancyMixin, base.DatabaseWrapper):
    """Django's PostGIS engine, with connections from a pool."""
