"""Spans of OpenTelemetry for waits for connections; needs the extra "opentelemetry"."""

from __future__ import annotations

import time

from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode, TracerProvider

from django_geventpool.pool import waits
from django_geventpool.pool.waits import Wait

#: The names of OpenTelemetry's semantic conventions.
_POOL_NAME, _SYSTEM, _ERROR = "db.client.connection.pool.name", "db.system.name", "error.type"
_NANOSECONDS = 1e9


class WaitTracer:
    """Makes a span of each wait in a task or request that is traced itself, as a part of its span.

    :param provider: whose spans they are; None for the process's, which may be set later.
    """

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self._tracer = trace.get_tracer("celery_geventpool", tracer_provider=provider)

    def __call__(self, wait: Wait) -> None:
        """Make the span of a wait that is over. Called where it has waited, whose span is the current one."""
        if not trace.get_current_span().is_recording():
            return  # Alone, it would say nothing.
        end = time.time_ns()
        span = self._tracer.start_span(
            "wait for connection",
            kind=SpanKind.INTERNAL,
            attributes={_POOL_NAME: wait.pool, _SYSTEM: "postgresql"},
            start_time=end - int(wait.seconds * _NANOSECONDS),
        )
        if wait.error is not None:
            kind = type(wait.error)
            span.set_attribute(_ERROR, f"{kind.__module__}.{kind.__qualname__}")
            span.set_status(Status(StatusCode.ERROR))  # The message would name tasks.
        span.end(end)


def trace_waits(provider: TracerProvider | None = None) -> None:
    """Trace the waits of this process, and of those that it forks. Call it once; nothing is spent where nobody waits.

    :param provider: whose spans they are; None for the process's, which may be set later.
    """
    waits.observers.append(WaitTracer(provider))
