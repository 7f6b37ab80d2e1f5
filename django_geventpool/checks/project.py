"""Checks of what is around the databases: whether the process is green, and the worker's side installed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning

from .. import engines, green
from . import ids, installed
from .documentation import explained


@explained
def check_green(**_kwargs: Any) -> Sequence[CheckMessage]:
    """Check that psycopg2 is green where the process is: the pool's engines see to it only when they connect."""
    framework = green.active()
    if framework == "threads" or installed.is_psycopg3() or not installed.has_psycopg2() or _is_psycopg2_green():
        return []
    pooled = engines.pooled_databases()
    others = [
        alias
        for alias, database in settings.DATABASES.items()
        if alias not in pooled and engines.is_postgresql(engines.engine_of(database))
    ]
    if not others:
        return []
    return [
        CheckWarning(
            f"{framework} has patched this process, but psycopg2 is not green: a query of "
            f'DATABASES["{others[0]}"], whose engine doesn\'t make it so, blocks all greenlets.',
            hint="Call django_geventpool.patch_psycopg() where the process is patched.",
            id=ids.PSYCOPG2_NOT_GREEN,
        )
    ]


def _is_psycopg2_green() -> bool:
    from psycopg2 import extensions

    return extensions.get_wait_callback() is not None


@explained
def check_celery(**_kwargs: Any) -> Sequence[CheckMessage]:
    """Check that a project with a Celery app has the worker side too."""
    celery = sys.modules.get("celery._state")  # Not by an import: the backend works without Celery.
    if celery is None or not celery._get_active_apps() or not engines.pooled_databases():  # noqa: SLF001
        return []
    if "celery_geventpool.signals" in sys.modules:
        return []
    return [
        CheckWarning(
            "The project has a Celery app, and databases with a pool, but not the app celery_geventpool: its workers "
            "don't name the tasks that hold connections, start in spite of wrong options, have no --pool-metrics-port, "
            "don't show the pools of prefork's child processes, and keep the connections that they use outside of "
            "tasks (for results of revoked tasks, in remote commands).",
            hint='Add "celery_geventpool" to INSTALLED_APPS, or call celery_geventpool.install(app) in the module '
            "that makes the Celery app.",
            id=ids.NO_WORKER_SIDE,
        )
    ]
