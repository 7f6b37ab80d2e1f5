"""`ENGINE = "tests.support.engines.postgresql"`: what a project makes of our engine."""

from __future__ import annotations

from django_geventpool.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    display_name = "our own"
