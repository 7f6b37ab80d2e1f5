"""The functions that tasks run, by the names of workloads on the command line."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.db import connection, transaction
from django.db.models import F

from .models import Row

_ROWS = 1000


def _none(_number: int) -> None:
    """Do nothing."""


def _get(number: int) -> None:
    Row.objects.get(pk=number % _ROWS + 1)


def _three_gets(number: int) -> None:
    for _ in range(3):
        _get(number)


def _get_wait_update(number: int) -> None:
    _get(number)
    time.sleep(0.05)
    Row.objects.filter(pk=number % _ROWS + 1).update(number=F("number") + 1)


def _transaction(_number: int) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.02)")


WORKLOADS: dict[str, Callable[[int], None]] = {
    "none": _none,
    "get": _get,
    "three-gets": _three_gets,
    "get-wait-update": _get_wait_update,
    "transaction-20ms": _transaction,
}
