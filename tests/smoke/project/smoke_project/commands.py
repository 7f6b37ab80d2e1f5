"""Remote control."""

from __future__ import annotations

import dataclasses
from typing import Any

from celery.worker.control import inspect_command
from django.db import connection

from django_geventpool import pools


@inspect_command()
def pool_numbers(state: Any) -> dict[str, dict[str, Any]]:
    """The numbers of the pools of the process that answers: the main process of the worker."""
    return {alias: dataclasses.asdict(pool.stats()) for alias, pool in pools.items()}


@inspect_command()
def count_tables(state: Any) -> int:
    """A command that uses the database."""
    return len(connection.introspection.table_names())
