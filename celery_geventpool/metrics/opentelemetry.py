"""The pools' metrics for OpenTelemetry, by its semantic conventions; needs the extra "opentelemetry".

::

    exporter = PoolHistogramExporter(OTLPMetricExporter())
    provider = MeterProvider([PeriodicExportingMetricReader(exporter)])
    observe(provider)

in each process that has pools: at ``worker_init``, and with prefork at ``worker_process_init``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from django_geventpool import pools
from django_geventpool.pool import Pool
from django_geventpool.pool.counters import BOUNDS, HistogramSnapshot
from django_geventpool.pool.stats import METRICS
from django_geventpool.pool.use_by_task import NO_TASK

_SCOPE = "celery_geventpool"
_PREFIX = "db.client.connection."
_POOL_NAME = f"{_PREFIX}pool.name"
_STATE = f"{_PREFIX}state"
#: The conventions have no attribute for tasks: this is the one for the name of the code that runs.
_TASK = "code.function.name"

#: The conventions' names for the pool's metrics; metrics for which they have no name aren't exported.
NAMES = {"limit": "max", "size": "count", "waiting": "pending_requests"}
NAMES |= {name: name for name in ("timeouts", "create_time", "wait_time", "use_time")}
#: Metrics of the conventions that are settings of the pool.
_SETTINGS = {
    "idle.max": ("reuse_conns", "The limit of idle open connections"),
    "idle.min": ("MIN_CONNS", "How many idle connections are kept open"),
}


def observe(provider: MeterProvider) -> None:
    """Make a provider's readers observe the counts and limits of this process's pools.

    Call it once for each provider. ``PoolHistogramExporter`` exports the times.
    """
    meter = provider.get_meter(_SCOPE)
    make = {"gauge": meter.create_observable_up_down_counter, "counter": meter.create_observable_counter}
    for metric in METRICS:
        if metric.name in NAMES and metric.kind in make:
            callback = _count if metric.name == "size" else _of(Pool.stats, metric.name)
            name = f"{_PREFIX}{NAMES[metric.name]}"
            make[metric.kind](name, [callback], f"{{{metric.unit}}}", metric.description)
    for name, (setting, description) in _SETTINGS.items():
        callback = _of(lambda pool: pool.options, setting)
        make["gauge"](f"{_PREFIX}{name}", [callback], "{connection}", description)


Callback = Callable[[CallbackOptions], Iterable[Observation]]


def _of(numbers: Callable[[Pool], object], name: str) -> Callback:
    def observe_pools(_options: CallbackOptions) -> Iterator[Observation]:
        for alias, pool in pools.items():
            yield Observation(getattr(numbers(pool), name), {_POOL_NAME: alias})

    return observe_pools


def _count(_options: CallbackOptions) -> Iterator[Observation]:
    for alias, pool in pools.items():
        stats = pool.stats()
        for state, number in (("used", stats.in_use), ("idle", stats.idle)):
            yield Observation(number, {_POOL_NAME: alias, _STATE: state})


class PoolHistogramExporter(MetricExporter):
    """Exports the histograms of the pools' times together with all other metrics.

    OpenTelemetry has no instrument that observes a histogram kept elsewhere, and recording each checkout in one of its
    own would cost more than the checkout. The points are cumulative.

    :param exporter: exports everything.
    """

    def __init__(self, exporter: MetricExporter) -> None:
        # The reader asks this exporter for preferences, which are those of the one inside.
        super().__init__(exporter._preferred_temporality, exporter._preferred_aggregation)  # noqa: SLF001
        self._exporter = exporter
        self._start = time.time_ns()

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        """Export the collected metrics, with the times added."""
        if pools:
            metrics_data = self._with_times(metrics_data)
        return self._exporter.export(metrics_data, timeout_millis, **kwargs)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Flush the exporter."""
        return self._exporter.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Shut the exporter down."""
        self._exporter.shutdown(timeout_millis, **kwargs)

    def _with_times(self, data: MetricsData) -> MetricsData:
        resources = list(data.resource_metrics) or [ResourceMetrics(Resource.create(), [], "")]
        first, *others = resources
        times = ScopeMetrics(InstrumentationScope(_SCOPE), list(self._metrics()), "")
        mine = ResourceMetrics(first.resource, [*first.scope_metrics, times], first.schema_url)
        return MetricsData([mine, *others])

    def _metrics(self) -> Iterator[Metric]:
        stats = {alias: pool.stats() for alias, pool in pools.items()}
        by_task = {alias: pool.use_by_task() for alias, pool in pools.items()}
        now = time.time_ns()
        for metric in METRICS:
            if metric.name not in NAMES or metric.kind != "histogram":
                continue
            if metric.is_by_task:
                points = [
                    self._point(alias, getattr(use, metric.name), now, use.task)
                    for alias, uses in by_task.items()
                    for use in uses
                ]
            else:
                points = [self._point(alias, getattr(numbers, metric.name), now) for alias, numbers in stats.items()]
            histogram = Histogram(points, AggregationTemporality.CUMULATIVE)
            yield Metric(f"{_PREFIX}{NAMES[metric.name]}", metric.description, metric.unit, histogram)

    def _point(self, alias: str, times: HistogramSnapshot, now: int, task: str = NO_TASK) -> HistogramDataPoint:
        return HistogramDataPoint(
            attributes={_POOL_NAME: alias, **({_TASK: task} if task else {})},
            start_time_unix_nano=self._start,
            time_unix_nano=now,
            count=times.count,
            sum=times.total,
            bucket_counts=times.counts,
            explicit_bounds=BOUNDS,
            # The SDK's own values where minimum and maximum aren't recorded.
            min=math.inf,
            max=-math.inf,
        )
