"""The pools' metrics, as OpenTelemetry exports them."""

from __future__ import annotations

import math
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    InMemoryMetricReader,
    Metric,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)

from celery_geventpool.metrics.opentelemetry import PoolHistogramExporter, observe


class _Exporter(MetricExporter):
    def __init__(self) -> None:
        super().__init__()
        self.exported: list[MetricsData] = []

    def export(self, metrics_data: MetricsData, *_args: Any, **_kwargs: Any) -> MetricExportResult:
        self.exported.append(metrics_data)
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 0) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 0, **_kwargs: Any) -> None:
        """Do nothing."""


def exported_metrics() -> dict[str, Metric]:
    """Export once, and return the metrics by name."""
    exporter = _Exporter()
    reader = PeriodicExportingMetricReader(PoolHistogramExporter(exporter), export_interval_millis=math.inf)
    provider = MeterProvider([reader, InMemoryMetricReader()])
    observe(provider)
    assert provider.force_flush()
    provider.shutdown()
    (resource,) = exporter.exported[0].resource_metrics
    return {metric.name: metric for scope in resource.scope_metrics for metric in scope.metrics}
