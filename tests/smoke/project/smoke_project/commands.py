"""Remote control commands of the test project."""

from __future__ import annotations

import dataclasses
from typing import Any

from celery.worker.control import inspect_command
from django.db import connection

from celery_geventpool import processes
from django_geventpool import pools

# On a slow machine, prefork's children may be late. The whole time is only waited for a child that never answers.
processes.PATIENCE = 5.0


@inspect_command()
def pool_numbers(state: Any) -> dict[str, dict[str, Any]]:
    """Return the numbers of the pools in the worker's main process."""
    return {alias: dataclasses.asdict(pool.stats()) for alias, pool in pools.items()}


@inspect_command()
def count_tables(state: Any) -> int:
    """Query the database."""
    return len(connection.introspection.table_names())
