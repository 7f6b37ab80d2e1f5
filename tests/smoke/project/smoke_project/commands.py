"""Remote control."""

from __future__ import annotations

import dataclasses
from typing import Any

from celery.worker.control import inspect_command
from django.db import connection

from celery_geventpool import processes
from django_geventpool import pools

# On a slow machine, prefork's children may take their time. Only for one that never answers is the end waited for.
processes.PATIENCE = 5.0


@inspect_command()
def pool_numbers(state: Any) -> dict[str, dict[str, Any]]:
    """The numbers of the pools of the process that answers: the main process of the worker."""
    return {alias: dataclasses.asdict(pool.stats()) for alias, pool in pools.items()}


@inspect_command()
def count_tables(state: Any) -> int:
    """A command that uses the database."""
    return len(connection.introspection.table_names())
