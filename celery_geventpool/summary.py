"""The answers of the remote control commands as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django_geventpool.pool.messages import count
from django_geventpool.pool.metric import Metric
from django_geventpool.pool.stats import METRICS

from . import by_task, fleets
from .text import quantile, seconds

#: Gauges that are shown elsewhere in the text, or (as they are sums of others) nowhere.
_PLACED = {"limit", "size", "in_use", "longest_held", "fleet_limit", "fleet_share"}
_GAUGES = [each for each in METRICS if each.kind == "gauge" and each.name not in _PLACED]
#: Counters with a label come last.
_COUNTERS = sorted((each for each in METRICS if each.kind == "counter"), key=lambda each: each.label is not None)
#: Counters that are left out while they are empty.
_RARE = {"pinned"}
_HISTOGRAMS = [each for each in METRICS if each.kind == "histogram"]
_IN_A_LINE = 5
#: What of the use by task is left out while it is 0.
_COUNTS_BY_TASK = ("in_use", "waiting", "timeouts", "killed", "pinned")


def summarize(answer: Mapping[str, Any]) -> str:
    """Return the text of ``inspect pools``."""
    lines = [line for pool in answer["pools"] for line in _pool(pool, several=_is_in_several(pool, answer["pools"]))]
    lines += [line for alias, uses in by_task.merged(answer["pools"]).items() for line in describe_tasks(alias, uses)]
    lines += [f"{alias}: not used yet, limit {limit}" for alias, limit in answer["unused"].items()]
    return "\n".join([*(lines or ["no database with a pool"]), *_silence(answer["silent"])])


def _is_in_several(pool: Mapping[str, Any], pools: list[Mapping[str, Any]]) -> bool:
    return any(other["pid"] != pool["pid"] for other in pools)


def _pool(pool: Mapping[str, Any], *, several: bool) -> Iterator[str]:
    name = f"{pool['alias']} in process {pool['pid']}" if several else pool["alias"]
    gauges = "".join(_gauge(each, pool[each.name]) for each in _GAUGES)
    yield f"{name}: {pool['in_use']} of {pool['limit']} in use{gauges}"
    if pool["longest_holder"] is not None:
        yield f"    longest holder: {pool['longest_holder']} for {seconds(pool['longest_held'])}"
    counters = [each for each in _COUNTERS if pool[each.name] or each.name not in _RARE]
    for first in range(0, len(counters), _IN_A_LINE):
        line = counters[first : first + _IN_A_LINE]
        yield f"    {', '.join(_counter(each, pool[each.name]) for each in line)}"
    yield f"    {'; '.join(_times(each, pool[each.name]) for each in _HISTOGRAMS)}"
    if fleet := fleets.describe(pool):
        share = f"share {pool['fleet_share']}, demand {fleets.demand(pool)}; " if pool["fleet"] else ""
        yield f"    fleet: {share}{fleet}"
    for held in pool.get("holders", ()):
        yield f"    held for {seconds(held['held'])} by {held['holder']}, {held['state']}"


def describe_tasks(alias: str, uses: list[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line for each task that has used the pools of an alias, in all processes of the worker."""
    yield f"{alias} by task:"
    total = sum(use["held"] for use in uses)
    for use in uses:
        if by_task.is_used(use):
            share = f"{use['held'] / total:.0%} of the use" if total else "no use"
            counts = "".join(f", {use[name]} {name.replace('_', ' ')}" for name in _COUNTS_BY_TASK if use[name])
            times = "; ".join(_times(each, use[each.name]) for each in _HISTOGRAMS if each.is_by_task)
            yield f"    {by_task.shown(use['task'])}: {share}, {count(use['checkouts'], 'checkout')}{counts}; {times}"
            if (idle := by_task.idle(use)) is not None:
                yield f"        {idle}"


def _gauge(metric: Metric, value: float) -> str:
    """Return a gauge as text; most are left out while they are 0."""
    if not value and metric.name not in ("idle", "waiting"):
        return ""
    return f", {seconds(value) if metric.unit == 's' else value} {metric.name.replace('_', ' ')}"


def _counter(metric: Metric, value: Any) -> str:
    if metric.label is not None:
        parts = ", ".join(f"{number} {part}" for part, number in sorted(value.items()))
        return f"{metric.name}: {parts or 'none'}"
    # It follows the connects, and so needs only "failed".
    name = "failed" if metric.name == "failed_connects" else metric.name.replace("_", " ")
    return count(value, name[:-1]) if name.endswith("s") else f"{value} {name}"


def _times(metric: Metric, times: Mapping[str, Any]) -> str:
    what = metric.name.removesuffix("_time")
    if not times["count"]:
        return f"{what}: none"
    return f"{what}: p50 {quantile(times['p50'])}, p95 {quantile(times['p95'])}"


def summarize_resize(answer: Mapping[str, Any]) -> str:
    """Return the text of ``control pool_resize``."""
    text = f"{answer['alias']}: limit {answer['limit']}, was {answer['before']}"
    if answer["processes"] > 1:
        children = answer["processes"] - 1
        text += ", in its child process too" if children == 1 else f", in each of {children} child processes"
    return "\n".join([text, *_silence(answer["silent"])])


def summarize_closed(closed: Mapping[str, int], silent: list[int]) -> str:
    """Return the text of ``control pool_close_idle``."""
    lines = [f"{alias}: {count} closed" for alias, count in sorted(closed.items())] or ["no pool is in use yet"]
    return "\n".join([*lines, *_silence(silent)])


def _silence(silent: list[int]) -> Iterator[str]:
    if silent:
        yield f"no answer from {'process' if len(silent) == 1 else 'processes'} {', '.join(map(str, silent))}"
