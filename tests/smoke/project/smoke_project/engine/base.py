"""`ENGINE = "smoke_project.engine"`: what a project makes of our engine."""

from __future__ import annotations

from django_geventpool.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    pass
