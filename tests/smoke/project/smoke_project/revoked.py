"""Reads the results of tasks when they are revoked. A worker imports it if its setting ``include`` names it."""

from __future__ import annotations

from typing import Any

from celery import signals
from celery.worker.control import inspect_command

from smoke_project.tasks import fetch

#: The stored state when the signal came, by task.
states: dict[str, str | None] = {}


@signals.task_revoked.connect
def look_at_result(request: Any, **_kwargs: Any) -> None:
    states[request.id] = fetch("select status from django_celery_results_taskresult where task_id = %s", request.id)


@inspect_command()
def states_when_revoked(state: Any) -> dict[str, str | None]:
    return states
