"""``ENGINE = "tests.support.engines.postgresql"``: a project's own engine, derived from ours."""

from __future__ import annotations

from django_geventpool.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    display_name = "our own"
