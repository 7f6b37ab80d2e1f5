"""The pools' numbers for OpenTelemetry, by its semantic conventions; needs the extra "opentelemetry".

::

    exporter = PoolTimes(OTLPMetricExporter())
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
from django_geventpool.pool import Pool, PoolStats
from django_geventpool.pool.counters import BOUNDS, Times

_SCOPE = "celery_geventpool"
_POOL_NAME = "db.client.connection.pool.name"
_STATE = "db.client.connection.state"

_TIMES = {
    "create_time": "The time it took to create a new connection",
    "wait_time": "The time it took to obtain an open connection from the pool, of those who had to wait",
    "use_time": "The time between borrowing a connection and returning it to the pool",
}


def observe(provider: MeterProvider) -> None:
    """Have a provider's readers observe the pools of this process: counts and limits, the times come by PoolTimes.

    To be called once for each provider.
    """
    meter = provider.get_meter(_SCOPE)
    prefix = "db.client.connection"
    make = meter.create_observable_up_down_counter
    make(f"{prefix}.count", [_count], "{connection}", "The number of connections by state")
    make(f"{prefix}.max", [_of(lambda pool: pool.options.MAX_CONNS)], "{connection}", "The limit of open connections")
    make(
        f"{prefix}.idle.max",
        [_of(lambda pool: pool.options.reuse_conns)],
        "{connection}",
        "The limit of idle open connections",
    )
    make(
        f"{prefix}.idle.min",
        [_of(lambda pool: pool.options.MIN_CONNS)],
        "{connection}",
        "How many idle connections are kept open",
    )
    make(
        f"{prefix}.pending_requests",
        [_of(lambda pool: pool.stats().waiting)],
        "{request}",
        "The number of requests that wait for a connection",
    )
    meter.create_observable_counter(
        f"{prefix}.timeouts",
        [_of(lambda pool: pool.stats().timeouts)],
        "{timeout}",
        "The number of requests that got no connection in time",
    )


Callback = Callable[[CallbackOptions], Iterable[Observation]]


def _of(number: Callable[[Pool], int]) -> Callback:
    def observe_pools(_options: CallbackOptions) -> Iterator[Observation]:
        for alias, pool in pools.items():
            yield Observation(number(pool), {_POOL_NAME: alias})

    return observe_pools


def _count(_options: CallbackOptions) -> Iterator[Observation]:
    for alias, pool in pools.items():
        stats = pool.stats()
        for state, number in (("used", stats.in_use), ("idle", stats.idle)):
            yield Observation(number, {_POOL_NAME: alias, _STATE: state})


class PoolTimes(MetricExporter):
    """Exports the histograms of the pools' times along with all else.

    OpenTelemetry has no instrument for a histogram that is kept already, and one that is fed by each checkout would
    cost more than the checkout. The points are cumulative.

    :param exporter: where everything goes.
    """

    def __init__(self, exporter: MetricExporter) -> None:
        # What it prefers is for the reader to know, which asks this one.
        super().__init__(exporter._preferred_temporality, exporter._preferred_aggregation)  # noqa: SLF001
        self._exporter = exporter
        self._start = time.time_ns()

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        """Export what was collected, and the times."""
        if pools:
            metrics_data = self._with_times(metrics_data)
        return self._exporter.export(metrics_data, timeout_millis, **kwargs)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Have the exporter finish."""
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
        now = time.time_ns()
        for name, description in _TIMES.items():
            points = [self._point(alias, _times_of(numbers, name), now) for alias, numbers in stats.items()]
            histogram = Histogram(points, AggregationTemporality.CUMULATIVE)
            yield Metric(f"db.client.connection.{name}", description, "s", histogram)

    def _point(self, alias: str, times: Times, now: int) -> HistogramDataPoint:
        return HistogramDataPoint(
            attributes={_POOL_NAME: alias},
            start_time_unix_nano=self._start,
            time_unix_nano=now,
            count=times.count,
            sum=times.total,
            bucket_counts=times.counts,
            explicit_bounds=BOUNDS,
            # As the SDK has it where they aren't recorded.
            min=math.inf,
            max=-math.inf,
        )


def _times_of(stats: PoolStats, name: str) -> Times:
    times: Times = getattr(stats, name)
    return times
