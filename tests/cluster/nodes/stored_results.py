"""Reads the table of django-celery-results, for clients without Django."""

from __future__ import annotations

import json
from typing import Any

from celery import states
from celery.backends.base import BaseBackend

from servers.postgres_address import Postgres


class StoredResults(BaseBackend):
    """A result backend that reads the table by SQL, in the database that its URL names."""

    def __init__(self, app: Any, url: str, **kwargs: Any) -> None:
        super().__init__(app, url=url, **kwargs)
        self._server = Postgres.from_url(url)

    def _get_task_meta_for(self, task_id: str) -> dict[str, Any]:
        rows = self._server.query(
            f"SELECT status, result, traceback FROM django_celery_results_taskresult WHERE task_id = '{task_id}'"
        )
        status, result, traceback = rows[0] if rows else (states.PENDING, "null", "")
        meta = {
            "task_id": task_id,
            "status": status,
            "result": json.loads(result or "null"),
            "traceback": traceback or None,
            "children": [],
        }
        return dict(self.meta_from_decoded(meta))
