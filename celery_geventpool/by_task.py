"""The use of pools by task, of all processes of a worker together, as it is shown."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from django_geventpool.pool.counters import HistogramSnapshot
from django_geventpool.pool.use_by_task import LIMIT, NO_TASK, OTHER

#: One task's row in the answer of a pool, see ``operations``.
Use = Mapping[str, Any]

_TIMES = ("use_time", "wait_time")
_SUMS = ("in_use", "held", "waiting", "timeouts", "killed", "pinned", "checkouts")


def merged(pools: Iterable[Mapping[str, Any]]) -> dict[str, list[Use]]:
    """Return the use by task for each alias whose pools have answered with it, those that held for longest first."""
    by_alias: dict[str, dict[str, Use]] = {}
    for pool in pools:
        if "use_by_task" in pool:
            uses = by_alias.setdefault(pool["alias"], {})
            for use in pool["use_by_task"]:
                before = uses.get(use["task"])
                uses[use["task"]] = use if before is None else _sum(before, use)
    return {alias: _limited(list(uses.values())) for alias, uses in sorted(by_alias.items())}


def _limited(uses: list[Use]) -> list[Use]:
    """Return the rows of the tasks that held for longest, as many as a pool keeps; the last may be of all others."""
    uses.sort(key=lambda use: (use["task"] == OTHER, -use["held"]))
    rest = uses[LIMIT:]
    if rest:
        uses[LIMIT - 1 :] = [{**_sum_of_all(uses[LIMIT - 1 :]), "task": OTHER}]
    return sorted(uses, key=lambda use: -use["held"])


def _sum_of_all(uses: list[Use]) -> Use:
    return functools.reduce(_sum, uses)


def _sum(one: Use, other: Use) -> Use:
    added = {name: one[name] + other[name] for name in _SUMS}
    longest = max(one["longest_held"], other["longest_held"])
    seen: Counter[str] = Counter(one["seen"]) + Counter(other["seen"])
    times = {name: _sum_of_times(one[name], other[name]) for name in _TIMES}
    return {"task": one["task"], "longest_held": longest, "seen": seen, **added, **times}


def times_of(use: Use, name: str) -> HistogramSnapshot:
    """Return one of the histograms of a task."""
    return HistogramSnapshot(tuple(use[name]["counts"]), use[name]["total"])


def _sum_of_times(*several: Mapping[str, Any]) -> Mapping[str, Any]:
    times = HistogramSnapshot.sum(HistogramSnapshot(tuple(each["counts"]), each["total"]) for each in several)
    return {
        "count": times.count,
        "total": times.total,
        "p50": times.quantile(0.5),
        "p95": times.quantile(0.95),
        "counts": list(times.counts),
    }


def is_used(use: Use) -> bool:
    """Return whether a task has used the pool, or tried to: the row of what is outside of tasks is always there."""
    return bool(use["checkouts"] or use["waiting"] or use["timeouts"])


def shown(task: str) -> str:
    """Return the name of a task as it is shown."""
    return "outside of tasks" if task == NO_TASK else task


def shares(use: Use) -> tuple[float, float] | None:
    """Return for which part of a task's holding time it was in no query, and of that, in a transaction of all time.

    None if the pool has not looked yet.
    """
    total = sum(use["seen"].values())
    if not total:
        return None
    return 1 - use["seen"].get("active", 0) / total, use["seen"].get("idle in transaction", 0) / total


def idle(use: Use) -> str | None:
    """Return in words how much of its time a task holds connections without a query; None if that isn't known."""
    found = shares(use)
    if found is None:
        return None
    in_transaction = f", {found[1]:.0%} in an open transaction" if found[1] else ""
    return f"in no query for {found[0]:.0%} of that time{in_transaction}, by {sum(use['seen'].values())} looks"
