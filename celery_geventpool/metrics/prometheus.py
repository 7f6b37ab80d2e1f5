"""The pools' metrics for Prometheus; needs the extra "prometheus"."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from django_geventpool.pool.counters import BOUNDS
from django_geventpool.pool.metric import Kind, Metric
from django_geventpool.pool.stats import METRICS

from .. import processes
from ..operations import BUCKETS, TASKS
from .totals_by_task import TotalsByTask

_FAMILIES: Any = {"gauge": GaugeMetricFamily, "counter": CounterMetricFamily, "histogram": HistogramMetricFamily}
_BOUNDS = (*map(str, BOUNDS), "+Inf")


def name_of(metric: Metric) -> str | None:
    """Return a metric's name in Prometheus, without "_total"; None for a metric that is part of another one."""
    if metric.part_of is not None or metric.name == "waits":
        return None  # The histogram of the waits' times has their number.
    if metric.unit == "s":
        return f"geventpool_{metric.name.removesuffix('_time')}_seconds"
    return "geventpool_connections" if metric.name == "size" else f"geventpool_{metric.name}"


#: The metrics by task, without the prefix: kind, own label, description. The first two are the pool's as well.
_BY_TASK: dict[str, tuple[Kind, str | None, str]] = {
    **{
        f"{each.name.removesuffix('_time')}_seconds": (each.kind, None, each.description)
        for each in METRICS
        if each.is_by_task
    },
    "task_looks": ("counter", "state", "Looks that found a connection held, by what it was doing"),
    "task_in_use": ("gauge", None, "Connections lent now"),
    "task_waiting": ("gauge", None, "Requests that wait now"),
    "task_timeouts": ("counter", None, "Requests that got no connection in time"),
    "task_killed": ("counter", None, "Connections closed because their holder was killed"),
    "task_pinned": ("counter", None, "Connections kept for session state in mode transaction"),
}


_GAUGES = {name for name, (kind, _, _) in _BY_TASK.items() if kind == "gauge"}


class PoolCollector(Collector):
    """Collects the metrics of this process's pools and, in a prefork worker's main process, of its children's.

    They have the labels alias and worker; those of prefork workers also pid, as each child has pools of its own. Those
    by task have the label task, and no pid: they are added up, also of children that have ended.
    ``--pool-metrics-port`` makes one; in a web process, register one with the registry that you expose.

    :param worker: the value of that label: the worker's node name, or what tells your web processes apart.
    """

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._totals = TotalsByTask()

    def describe(self) -> Iterable[Family]:
        """Yield the metrics without their values."""
        return itertools.chain(self._families([], ["alias", "worker"]), self._families_by_task({}))

    def collect(self) -> Iterable[Family]:
        """Yield the metrics as they are now, without those of a child that doesn't answer in time."""
        answers, silent = processes.ask_all("show", more=[BUCKETS, TASKS])
        labels = ["alias", "worker", "pid"] if processes.has_children() else ["alias", "worker"]
        pools = [pool for answer in answers for pool in answer]
        return itertools.chain(self._families(pools, labels), self._families_by_task(self._totals.add(pools, silent)))

    def _families(self, pools: Iterable[Mapping[str, Any]], labels: list[str]) -> Iterator[Family]:
        pools = [{**pool, "worker": self._worker} for pool in pools]
        for metric in METRICS:
            name = name_of(metric)
            if name is None or metric.is_by_task:
                continue
            own = [] if metric.label is None else [metric.label]
            family = _FAMILIES[metric.kind](name, metric.description, labels=[*labels, *own])
            for pool in pools:
                values = [str(pool[label]) for label in labels]
                for part, *number in _numbers(metric, pool):
                    family.add_metric([*values, *part], *number)
            yield family

    def _families_by_task(self, rows: Mapping[tuple[str, str], Mapping[str, Any]]) -> Iterator[Family]:
        for name, (kind, label, description) in _BY_TASK.items():
            own = [] if label is None else [label]
            family = _FAMILIES[kind](f"geventpool_{name}", description, labels=["alias", "worker", *own])
            for (alias, task), use in rows.items():
                # To Prometheus, an empty label is the same as none; without Celery or requests, there is none.
                labels = {"alias": alias, "worker": self._worker, **({"task": task} if task else {})}
                for part, *number in _numbers_of_task(name, use):
                    one = _FAMILIES[kind](family.name, "", labels=[*labels, *own])
                    one.add_metric([*labels.values(), *part], *number)
                    family.samples += one.samples
            yield family


def _numbers_of_task(name: str, use: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    """Yield the samples of a task's metric, as ``_numbers`` does of a pool's."""
    if name.endswith("_seconds"):
        times = use[name.replace("_seconds", "_time")]
        yield [], list(zip(_BOUNDS, itertools.accumulate(times["counts"]), strict=True)), times["total"]
    elif name == "task_looks":
        yield from (([state], number) for state, number in use["seen"].items())
    elif use["task"] and (name in _GAUGES or use[name.removeprefix("task_")]):
        yield [], use[name.removeprefix("task_")]  # Counters that most tasks never have begin with their first event.


def _numbers(metric: Metric, pool: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    """Yield the samples of a pool's metric: a list with the value of its own label, if any, and what to add for it."""
    value = pool[metric.name]
    if metric.kind == "histogram":
        yield [], list(zip(_BOUNDS, itertools.accumulate(value["counts"]), strict=True)), value["total"]
    elif metric.label is None:
        yield [], value
    elif metric.kind == "counter":
        yield from (([part], count) for part, count in value.items())
    else:
        yield from (([part.name], pool[part.name]) for part in METRICS if part.part_of == metric.name)
