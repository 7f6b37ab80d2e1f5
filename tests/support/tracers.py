"""Libraries that trace queries, each switched on as its documentation says, and further ways of tracing.

Each function starts one for the driver that Django will use, in a process that has imported neither Django nor the
driver, and returns a function that returns the spans so far.
"""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Callable
from typing import Any

#: Returns the names or statements of the spans, in the order in which they ended.
Spans = Callable[[], list[str]]

DRIVER = os.environ.get("TEST_DRIVER", "psycopg")


def opentelemetry() -> Spans:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    module = importlib.import_module(f"opentelemetry.instrumentation.{DRIVER}")
    instrumentor = {"psycopg": "PsycopgInstrumentor", "psycopg2": "Psycopg2Instrumentor"}[DRIVER]
    getattr(module, instrumentor)().instrument(tracer_provider=provider)
    return lambda: [
        f"{span.name}: {(span.attributes or {}).get('db.statement')}" for span in exporter.get_finished_spans()
    ]


def datadog(**libraries: bool) -> Spans:
    # Nothing is sent anywhere: the filter keeps all spans.
    os.environ.update(DD_INSTRUMENTATION_TELEMETRY_ENABLED="false", DD_REMOTE_CONFIGURATION_ENABLED="false")
    import ddtrace
    from ddtrace.trace import TraceFilter, tracer

    spans: list[str] = []

    class Keep(TraceFilter):  # type: ignore[misc, unused-ignore]
        def process_trace(self, trace: list[Any]) -> None:
            spans.extend(f"{span.name}: {span.resource}" for span in trace)

    tracer.configure(trace_processors=[Keep()])
    ddtrace.patch(psycopg=True, **libraries)
    return lambda: list(spans)


def datadog_with_django() -> Spans:
    return datadog(django=True)


def datadog_with_connects() -> Spans:
    os.environ.update(DD_PSYCOPG_TRACE_CONNECT="true", DD_PSYCOPG_TRACE_FETCH_METHODS="true")
    return datadog()


def sentry() -> Spans:
    import sentry_sdk
    from sentry_sdk.transport import Transport

    spans: list[str] = []

    class Keep(Transport):
        def capture_envelope(self, envelope: Any) -> None:
            for item in envelope.items:
                spans.extend(f"{span['op']}: {span['description']}" for span in item.payload.json.get("spans", ()))

    sentry_sdk.init(dsn="http://key@127.0.0.1:1/1", traces_sample_rate=1.0, transport=Keep)
    sentry_sdk.start_transaction(name="test").__enter__()

    def ended() -> list[str]:
        sentry_sdk.get_current_scope().transaction.finish()  # type: ignore[union-attr]
        return list(spans)

    return ended


def elastic() -> Spans:
    import elasticapm
    from elasticapm.transport.base import Transport

    spans: list[str] = []

    class Keep(Transport):
        def queue(self, event_type: str, data: dict[str, Any], flush: bool = False) -> None:
            if event_type == "span":
                spans.append(data["name"])
            elif event_type == "close":
                super().queue(event_type, data, flush)  # Ends the sending thread, for which the exit waits.

    keep = f"{__name__}.Keep"
    globals()["Keep"] = Keep
    client = elasticapm.Client(
        service_name="test",
        transport_class=keep,
        central_config=False,
        cloud_provider=False,
        metrics_interval="0s",
        span_compression_enabled=False,
        transaction_max_spans=10000,
    )
    elasticapm.instrument()
    client.begin_transaction("test")

    def ended() -> list[str]:
        client.end_transaction("test")
        return list(spans)

    return ended


def x_ray() -> Spans:
    from aws_xray_sdk.core import patch, xray_recorder

    class Keep:
        def send_entity(self, entity: Any) -> None:
            pass

        def set_daemon_address(self, address: str) -> None:
            pass

    xray_recorder.configure(emitter=Keep(), sampling=False, context_missing="IGNORE_ERROR", streaming_threshold=10000)
    patch([DRIVER])
    segment = xray_recorder.begin_segment("test")
    return lambda: [f"{entity.name}: {entity.sql}" for entity in segment.subsegments]


def new_relic() -> Spans:
    # Nothing is sent anywhere in this mode.
    os.environ.update(NEW_RELIC_DEVELOPER_MODE="true", NEW_RELIC_LICENSE_KEY="0" * 40, NEW_RELIC_APP_NAME="test")
    import newrelic.agent
    from newrelic.api.database_trace import DatabaseTrace

    spans: list[str] = []
    begin = DatabaseTrace.__enter__

    def noted(trace: Any) -> Any:
        spans.append(str(trace.sql))
        return begin(trace)

    DatabaseTrace.__enter__ = noted
    newrelic.agent.initialize()
    application = newrelic.agent.register_application(timeout=10)
    newrelic.agent.BackgroundTask(application, "test").__enter__()
    return lambda: list(spans)


# Ways of tracing without a library


class _Proxy:
    """Stands in for a connection or cursor without being an instance of its class."""

    def __init__(self, real: Any, spans: list[str]) -> None:
        object.__setattr__(self, "_real", real)
        object.__setattr__(self, "_spans", spans)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._real, name, value)

    def __enter__(self) -> _Proxy:
        self._real.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._real.__exit__(*error)

    def __iter__(self) -> Any:
        return iter(self._real)

    def cursor(self, *args: Any, **kwargs: Any) -> _Proxy:
        return _Proxy(self._real.cursor(*args, **kwargs), self._spans)

    def execute(self, sql: Any, *args: Any) -> Any:
        self._spans.append(str(sql))
        return self._real.execute(sql, *args)


def plain_proxies() -> Spans:
    """Trace by proxies that are no subclasses and have no ``__wrapped__``."""
    module = importlib.import_module(DRIVER)
    connect, spans = module.connect, list[str]()
    module.connect = lambda *args, **kwargs: _Proxy(connect(*args, **kwargs), spans)
    if DRIVER == "psycopg2":
        # C code that checks types needs the connection itself, on any engine.
        extensions, json = (importlib.import_module(f"psycopg2.{name}") for name in ("extensions", "_json"))
        register = extensions.register_type

        def register_type(kind: Any, scope: Any = None) -> None:
            register(kind, scope._real if isinstance(scope, _Proxy) else scope)  # noqa: SLF001

        extensions.register_type = json.register_type = register_type  # type: ignore[attr-defined]
    return lambda: list(spans)


def cursor_factory_set_afterwards() -> Spans:
    """Trace by a class of cursors that is set on each open connection."""
    module = importlib.import_module(DRIVER)
    connect, spans = module.connect, list[str]()

    @functools.wraps(connect)
    def traced_connect(*args: Any, **kwargs: Any) -> Any:
        connection = connect(*args, **kwargs)
        base = connection.cursor_factory or importlib.import_module("psycopg2.extensions").cursor

        class Traced(base):  # type: ignore[misc, valid-type]
            def execute(self, sql: Any, *args: Any, **kwargs: Any) -> Any:
                spans.append(str(sql))
                return super().execute(sql, *args, **kwargs)

        connection.cursor_factory = Traced
        return connection

    module.connect = traced_connect
    return lambda: list(spans)


def connection_class() -> Spans:
    """Trace by a class of connections in place of the requested one, or of the driver's."""
    spans: list[str] = []
    module = importlib.import_module(DRIVER)
    connect = module.connect

    def make(base: Any) -> Any:
        class Traced(base):  # type: ignore[misc]
            def cursor(self, *args: Any, **kwargs: Any) -> Any:
                return _Proxy(super().cursor(*args, **kwargs), spans)

        return Traced

    if DRIVER == "psycopg":
        module.connect = make(module.Connection).connect
    else:
        base = importlib.import_module("psycopg2.extensions").connection

        def traced_connect(*args: Any, connection_factory: Any = None, **kwargs: Any) -> Any:
            return connect(*args, connection_factory=make(connection_factory or base), **kwargs)

        module.connect = traced_connect
    return lambda: list(spans)


def class_method() -> Spans:
    """Trace by a wrapper of ``Connection.connect``, which pools call, but not of ``psycopg.connect``."""
    import psycopg

    connect, spans = psycopg.Connection.connect.__func__, list[str]()  # type: ignore[attr-defined]

    def traced_connect(cls: Any, *args: Any, **kwargs: Any) -> Any:
        return _Proxy(connect(cls, *args, **kwargs), spans)

    psycopg.Connection.connect = classmethod(traced_connect)  # type: ignore[assignment, method-assign]
    return lambda: list(spans)
