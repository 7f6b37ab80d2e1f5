"""The operations on the pools of one process; their answers can be written as JSON."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.db import connections

from django_geventpool import options, pools
from django_geventpool.engines import pooled_databases
from django_geventpool.errors import InvalidOption
from django_geventpool.pool import HeldConnection, Pool, TaskUse
from django_geventpool.pool.counters import HistogramSnapshot
from django_geventpool.pool.stats import METRICS
from django_geventpool.text import printable
from django_geventpool.text import show as written

from . import fleets
from .task import TaskLabel

#: A JSON object.
Answer = dict[str, Any]

#: What ``show`` can add to the numbers.
HOLDERS, BUCKETS, TASKS = "holders", "buckets", "tasks"


class Refused(ValueError):
    """The operation can't be done, and nothing was changed; the message says what to do instead."""


def limits() -> dict[str, int]:
    """Return limits by alias: of the pools that exist, and of those that a first query will make."""
    # In a worker that doesn't use Django, where this package happens to be installed, there are no settings.
    databases = pooled_databases() if settings.configured else {}
    return {alias: options.split(database.get("OPTIONS", {}))[0].MAX_CONNS for alias, database in databases.items()}


def wait_timeouts() -> dict[str, float | None]:
    """Return CONN_WAIT_TIMEOUT by alias, of all databases that have a pool or will have one."""
    databases = pooled_databases() if settings.configured else {}
    return {
        alias: options.split(database.get("OPTIONS", {}))[0].CONN_WAIT_TIMEOUT for alias, database in databases.items()
    }


def show(more: Collection[str] = ()) -> list[Answer]:
    """Return the numbers of the pools of this process, each with its alias and the process id.

    :param more: "holders" adds who holds connections now; "buckets" adds the histograms' counts by bucket;
        "tasks" adds the use by task, as ``use_by_task``.
    """
    return [_describe(alias, pool, more) for alias, pool in sorted(pools.items())]


def _describe(alias: str, pool: Pool, more: Collection[str]) -> Answer:
    stats = pool.stats()
    answer = {"alias": alias, "pid": os.getpid(), **asdict(stats)}
    for metric in METRICS:
        if metric.kind == "histogram":
            answer[metric.name] = _times(getattr(stats, metric.name), more)
    if stats.fleet is not None:
        answer["fleet"]["owner"] = fleets.owner_of(stats.fleet.scope, alias)
    if HOLDERS in more:
        answer[HOLDERS] = [_holder(held) for held in pool.holders()]
    if TASKS in more:
        answer["use_by_task"] = [_use(use) for use in pool.use_by_task()]
    return answer


def _use(use: TaskUse) -> Answer:
    times = {name: _times(getattr(use, name), [BUCKETS]) for name in ("use_time", "wait_time")}
    return {**asdict(use), **times, "checkouts": use.checkouts, "idle_share": use.idle_share}


def _times(times: HistogramSnapshot, more: Collection[str]) -> Answer:
    answer: Answer = {
        "count": times.count,
        "total": times.total,
        "p50": times.quantile(0.5),
        "p95": times.quantile(0.95),
    }
    if BUCKETS in more:
        answer["counts"] = list(times.counts)
    return answer


def _holder(held: HeldConnection) -> Answer:
    label = held.label if isinstance(held.label, TaskLabel) else None
    return {
        "holder": held.holder,
        "task": None if label is None else label.name,
        "task_id": None if label is None else label.id,
        "held": held.held,
        "state": held.state,
    }


def resize(alias: object, limit: object) -> Answer:
    """Change the limit of an alias in this process, until the process ends.

    The pool need not exist yet, and its successors have the new limit too.

    :param limit: a whole number, or the text of one: at least 1, and at least MIN_CONNS.
    :raises Refused: for an alias without a pool, or any other limit.
    """
    alias = _known(alias)
    number = int(limit) if isinstance(limit, str) and re.fullmatch("[0-9]{1,9}", limit) else limit
    # Wrappers and pools that are made from now on read the settings.
    database = connections.settings[alias]
    changed = {**database["OPTIONS"], "MAX_CONNS": number}
    try:
        after = options.split(changed)[0].MAX_CONNS
    except InvalidOption as error:
        raise Refused(f"The limit stays as it is: {error}") from error
    before = limits()[alias]
    database["OPTIONS"] = changed
    pool = pools.get(alias)
    if pool is not None:
        before = pool.stats().limit
        pool.resize(after)
    return {"alias": alias, "before": before, "limit": after}


def close_idle(alias: object) -> dict[str, int]:
    """Close the idle connections of an alias, or of all for None, in this process; return how many, by alias.

    :raises Refused: for an alias without a pool.
    """
    if alias is not None:
        alias = _known(alias)
    return {name: pool.close_idle() for name, pool in pools.items() if alias in (None, name)}


def _known(alias: object) -> str:
    """Return an alias that has a pool; refuse anything else, as remote commands may bring anything."""
    known = limits()
    if isinstance(alias, str) and alias in known:
        return alias
    names = ", ".join(f'"{name}"' for name in known) or "none"
    asked = f'"{printable(alias)}"' if isinstance(alias, str) else written(alias)
    raise Refused(f"No database {asked} has a pool. Those that have one: {names}.")
