"""The pools' numbers for Prometheus; needs the extra "prometheus"."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from django_geventpool.pool.counters import BOUNDS

from .. import processes
from ..operations import BUCKETS

_GAUGES = {
    "limit": ("geventpool_limit", "Hard limit of server connections"),
    "waiting": ("geventpool_waiting", "Greenlets or threads that wait for a connection"),
    "longest_held": ("geventpool_longest_held_seconds", "For how long the longest holder has had its connection"),
}
_STATES = ("in_use", "idle", "connecting", "closing")
_COUNTERS = {
    "checkouts": ("geventpool_checkouts", "Connections lent"),
    "timeouts": ("geventpool_timeouts", "Requests that got no connection in time"),
    "connects": ("geventpool_connects", "Connections opened"),
    "failed_connects": ("geventpool_failed_connects", "Attempts to connect that failed"),
    "reconnects": ("geventpool_reconnects", "Connections opened in the place of one that was lost while idle"),
    "reclaimed": ("geventpool_reclaimed", "Connections taken back from holders that ended without giving them back"),
    "cancelled": ("geventpool_cancelled", "Queries cancelled because whoever ran them was interrupted"),
}
_HISTOGRAMS = {
    "wait_time": ("geventpool_wait_seconds", "How long those waited for a connection who had to"),
    "use_time": ("geventpool_use_seconds", "How long connections were held"),
    "create_time": ("geventpool_create_seconds", "How long it took to connect"),
}
_BOUNDS = (*map(str, BOUNDS), "+Inf")


class PoolCollector(Collector):
    """Collects the numbers of the pools of this process and, in a prefork worker's main process, of its children.

    The metrics have the labels alias and worker; those of prefork workers also pid, as each child has its own pools.
    Made by ``--pool-metrics-port``; in a web process, give one to the registry that you expose.

    :param worker: the label's value; the worker's node name, or whatever tells your web processes apart.
    """

    def __init__(self, worker: str) -> None:
        self._worker = worker

    def describe(self) -> Iterable[Metric]:
        """Name the metrics."""
        return self._families([], ["alias", "worker"])

    def collect(self) -> Iterable[Metric]:
        """Return the numbers of this moment. Those of a child that is too busy to answer are left out."""
        answers, _ = processes.ask_all("show", more=[BUCKETS])
        labels = ["alias", "worker", "pid"] if processes.has_children() else ["alias", "worker"]
        return self._families([pool for answer in answers for pool in answer], labels)

    def _families(self, pools: Iterable[Mapping[str, Any]], labels: list[str]) -> Iterator[Metric]:
        pools = [{**pool, "worker": self._worker} for pool in pools]
        keys = [[str(pool[label]) for label in labels] for pool in pools]
        for key, (name, text) in _GAUGES.items():
            gauge = GaugeMetricFamily(name, text, labels=labels)
            for values, pool in zip(keys, pools, strict=True):
                gauge.add_metric(values, pool[key])
            yield gauge
        states = GaugeMetricFamily("geventpool_connections", "Server connections, by state", labels=[*labels, "state"])
        closed = CounterMetricFamily("geventpool_closed", "Connections closed, by reason", labels=[*labels, "reason"])
        for values, pool in zip(keys, pools, strict=True):
            for state in _STATES:
                states.add_metric([*values, state], pool[state])
            for reason, count in pool["closed"].items():
                closed.add_metric([*values, reason], count)
        yield states
        yield closed
        for key, (name, text) in _COUNTERS.items():
            counter = CounterMetricFamily(name, text, labels=labels)
            for values, pool in zip(keys, pools, strict=True):
                counter.add_metric(values, pool[key])
            yield counter
        for key, (name, text) in _HISTOGRAMS.items():
            histogram = HistogramMetricFamily(name, text, labels=labels)
            for values, pool in zip(keys, pools, strict=True):
                buckets = list(zip(_BOUNDS, itertools.accumulate(pool[key]["counts"]), strict=True))
                histogram.add_metric(values, buckets, pool[key]["total"])
            yield histogram
