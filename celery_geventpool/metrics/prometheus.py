"""The pools' numbers for Prometheus; needs the extra "prometheus"."""

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
    """Return the name by which Prometheus knows a metric, without "_total"; None where it is in another one's."""
    if metric.part_of is not None or metric.name == "waits":
        return None  # The number of waits is in the histogram of their times.
    if metric.unit == "s":
        return f"geventpool_{metric.name.removesuffix('_time')}_seconds"
    return "geventpool_connections" if metric.name == "size" else f"geventpool_{metric.name}"


class PoolCollector(Collector):
    """Collects the numbers of the pools of this process and, in a prefork worker's main process, of its children.

    The metrics have the labels alias and worker; those of prefork workers also pid, as each child has its own pools.
    Made by ``--pool-metrics-port``; in a web process, give one to the registry that you expose.

    :param worker: the label's value; the worker's node name, or whatever tells your web processes apart.
    """

    def __init__(self, worker: str) -> None:
        self._worker = worker

    def describe(self) -> Iterable[Family]:
        """Name the metrics."""
        return self._families([], ["alias", "worker"])

    def collect(self) -> Iterable[Family]:
        """Return the numbers of this moment. Those of a child that is too busy to answer are left out."""
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
    """Yield a pool's numbers of a metric: the value of its own label, if it has one, in a list, and what is added."""
    value = pool[metric.name]
    if metric.kind == "histogram":
        yield [], list(zip(_BOUNDS, itertools.accumulate(value["counts"]), strict=True)), value["total"]
    elif metric.label is None:
        yield [], value
    elif metric.kind == "counter":
        yield from (([part], count) for part, count in value.items())
    else:
        yield from (([part.name], pool[part.name]) for part in METRICS if part.part_of == metric.name)
