"""``ENGINE = "smoke_project.engine"``: a project's own engine, derived from ours."""

from __future__ import annotations

from django_geventpool.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    pass
