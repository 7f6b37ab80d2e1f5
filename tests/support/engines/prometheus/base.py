"""``ENGINE = "tests.support.engines.prometheus"``: our engine with django-prometheus's additions to Django's."""

from __future__ import annotations

from typing import Any

from django_prometheus.db.common import DatabaseWrapperMixin, ExportingCursorWrapper

from django_geventpool.backends.postgresql import base


class DatabaseWrapper(DatabaseWrapperMixin, base.DatabaseWrapper):
    def get_connection_params(self) -> dict[str, Any]:
        parameters = super().get_connection_params()
        parameters["cursor_factory"] = ExportingCursorWrapper(parameters["cursor_factory"], self.alias, self.vendor)
        return parameters

    def create_cursor(self, name: str | None = None) -> Any:
        return base.DatabaseWrapper.create_cursor(self, name)
