"""The pools' metrics for Prometheus; needs the extra "prometheus"."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from django_geventpool.pool.counters import BOUNDS
from django_geventpool.pool.metric import Metric
from django_geventpool.pool.stats import METRICS

from .. import processes
from ..operations import BUCKETS

_FAMILIES: Any = {"gauge": GaugeMetricFamily, "counter": CounterMetricFamily, "histogram": HistogramMetricFamily}
_BOUNDS = (*map(str, BOUNDS), "+Inf")


def name_of(metric: Metric) -> str | None:
    """Return a metric's name in Prometheus, without "_total"; None for a metric that is part of another one."""
    if metric.part_of is not None or metric.name == "waits":
        return None  # The histogram of the waits' times has their number.
    if metric.unit == "s":
        return f"geventpool_{metric.name.removesuffix('_time')}_seconds"
    return "geventpool_connections" if metric.name == "size" else f"geventpool_{metric.name}"


class PoolCollector(Collector):
    """Collects the metrics of this process's pools and, in a prefork worker's main process, of its children's.

    They have the labels alias and worker; those of prefork workers also pid, as each child has pools of its own.
    ``--pool-metrics-port`` makes one; in a web process, register one with the registry that you expose.

    :param worker: the value of that label: the worker's node name, or what tells your web processes apart.
    """

    def __init__(self, worker: str) -> None:
        self._worker = worker

    def describe(self) -> Iterable[Family]:
        """Yield the metrics without their values."""
        return self._families([], ["alias", "worker"])

    def collect(self) -> Iterable[Family]:
        """Yield the metrics as they are now, without those of a child that doesn't answer in time."""
        answers, _ = processes.ask_all("show", more=[BUCKETS])
        labels = ["alias", "worker", "pid"] if processes.has_children() else ["alias", "worker"]
        return self._families([pool for answer in answers for pool in answer], labels)

    def _families(self, pools: Iterable[Mapping[str, Any]], labels: list[str]) -> Iterator[Family]:
        pools = [{**pool, "worker": self._worker} for pool in pools]
        for metric in METRICS:
            name = name_of(metric)
            if name is None:
                continue
            own = [] if metric.label is None else [metric.label]
            family = _FAMILIES[metric.kind](name, metric.description, labels=[*labels, *own])
            for pool in pools:
                values = [str(pool[label]) for label in labels]
                for part, *number in _numbers(metric, pool):
                    family.add_metric([*values, *part], *number)
            yield family


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
