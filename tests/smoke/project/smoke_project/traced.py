"""OpenTelemetry in a worker, as its documentation says, with the spans kept in memory."""

from __future__ import annotations

from typing import Any

from celery.worker.control import inspect_command
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from celery_geventpool.tracing import trace_waits

_exporter = InMemorySpanExporter()
_provider = TracerProvider()
_provider.add_span_processor(SimpleSpanProcessor(_exporter))
CeleryInstrumentor().instrument(tracer_provider=_provider)
trace_waits(_provider)


@inspect_command()
def spans(state: Any) -> list[dict[str, Any]]:
    """Return the spans that have ended."""
    return [
        {
            "name": span.name,
            "id": span.context.span_id,
            "trace": span.context.trace_id,
            "parent": None if span.parent is None else span.parent.span_id,
            "attributes": dict(span.attributes or {}),
            "seconds": ((span.end_time or 0) - (span.start_time or 0)) / 1e9,
            "status": span.status.status_code.name,
        }
        for span in _exporter.get_finished_spans()
    ]
