"""The pools' metrics for monitoring systems."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from django_geventpool import pools
from django_geventpool.options import PoolOptions
from django_geventpool.pool import Pool
from django_geventpool.pool.counters import BOUNDS
from tests.support import inside
from tests.support.scripted import ScriptedDriver

DOCS = Path(__file__).parent.parent.parent / "docs"


@pytest.fixture
def pool() -> Iterator[Pool]:
    """Return a pool with one lent connection, and an idle one that was held for three seconds."""
    made = pools.obtain(
        "default", None, lambda: Pool("default", ScriptedDriver(), PoolOptions(MAX_CONNS=5, MIN_CONNS=1))
    )
    held, given_back = made.getconn(), made.getconn()
    inside.slot_of(made, given_back).since -= 3
    made.putconn(given_back)
    yield made
    made.putconn(held)
    pools.close_all()


@pytest.fixture
def samples(pool: Pool) -> dict[str, float]:
    """Return the samples that Prometheus reads, by name and labels."""
    pytest.importorskip("prometheus_client")
    from prometheus_client import CollectorRegistry, generate_latest

    from celery_geventpool.metrics.prometheus import PoolCollector

    registry = CollectorRegistry(auto_describe=True)
    registry.register(PoolCollector("w@host"))
    lines = generate_latest(registry).decode().splitlines()
    return {name: float(value) for line in lines if not line.startswith("#") for name, value in [line.rsplit(" ", 1)]}


def test_prometheus_reads_gauges_and_counters(samples: dict[str, float]) -> None:
    labels = 'alias="default",worker="w@host"'
    assert samples[f"geventpool_limit{{{labels}}}"] == 5
    assert samples[f"geventpool_waiting{{{labels}}}"] == 0
    assert samples[f"geventpool_checkouts_total{{{labels}}}"] == 2
    assert samples[f"geventpool_connects_total{{{labels}}}"] == 2
    for state, count in {"in_use": 1, "idle": 1, "connecting": 0, "closing": 0}.items():
        assert samples[f'geventpool_connections{{alias="default",state="{state}",worker="w@host"}}'] == count


def test_prometheus_reads_cumulative_buckets(samples: dict[str, float]) -> None:
    def bucket(bound: str) -> float:
        return samples[f'geventpool_use_seconds_bucket{{alias="default",le="{bound}",worker="w@host"}}']

    assert [bucket(bound) for bound in ("2.5", "5.0", "10.0", "+Inf")] == [0, 1, 1, 1]
    assert samples['geventpool_use_seconds_count{alias="default",worker="w@host"}'] == 1
    assert 3 <= samples['geventpool_use_seconds_sum{alias="default",worker="w@host"}'] < 4


def test_prometheus_counts_connections_closed_by_reason(pool: Pool, request: pytest.FixtureRequest) -> None:
    assert pool.close_idle() == 1
    samples = request.getfixturevalue("samples")
    assert samples['geventpool_closed_total{alias="default",reason="surplus",worker="w@host"}'] == 1


def test_a_second_collector_of_the_same_names_is_refused() -> None:
    pytest.importorskip("prometheus_client")
    from prometheus_client import CollectorRegistry

    from celery_geventpool.metrics.prometheus import PoolCollector

    registry = CollectorRegistry()
    registry.register(PoolCollector("a"))
    with pytest.raises(ValueError, match="Duplicated"):
        registry.register(PoolCollector("b"))


def test_the_dashboard_asks_for_metrics_that_there_are_and_for_all_of_them() -> None:
    pytest.importorskip("prometheus_client")
    from celery_geventpool.metrics.prometheus import PoolCollector

    dashboard = json.loads((DOCS / "grafana-dashboard.json").read_text())
    expressions = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    queries = " ".join(variable.get("query", "") for variable in dashboard["templating"]["list"])
    asked = set(re.findall(r"geventpool_\w+", f"{expressions} {queries}"))
    suffixes = {"gauge": [""], "counter": ["_total"], "histogram": ["_bucket", "_sum"]}
    metrics = PoolCollector("").describe()
    assert asked <= {metric.name + suffix for metric in metrics for suffix in suffixes[metric.type]}
    # A table shows the metrics that have no panel of their own.
    assert '{__name__=~"geventpool_.+"' in expressions


def test_the_documentation_has_a_table_of_the_metrics_that_are_declared() -> None:
    pytest.importorskip("prometheus_client")
    pytest.importorskip("opentelemetry.sdk")
    from tests.support.metric_table import PAGE, replaced

    page = PAGE.read_text()
    assert page == replaced(page), "python -m tests.support.metric_table writes it anew"


def test_opentelemetry_reads_the_pools_by_the_names_of_its_conventions(pool: Pool) -> None:
    pytest.importorskip("opentelemetry.sdk")
    from opentelemetry.semconv._incubating.metrics import db_metrics

    from tests.support.otel import exported_metrics

    metrics = exported_metrics()
    names = {name for key, name in vars(db_metrics).items() if key.startswith("DB_CLIENT_CONNECTION_")}
    assert set(metrics) == names
    points = {
        (name, *(value for key, value in sorted((point.attributes or {}).items()) if not key.endswith("name"))): point
        for name, metric in metrics.items()
        for point in metric.data.data_points
    }
    numbers = {
        key[0].removeprefix("db.client.connection."): getattr(point, "value", None) for key, point in points.items()
    }
    del numbers["count"]
    assert numbers == {
        "max": 5,
        "idle.max": 5,
        "idle.min": 1,
        "pending_requests": 0,
        "timeouts": 0,
        "create_time": None,
        "wait_time": None,
        "use_time": None,
    }
    assert points["db.client.connection.count", "used"].value == 1
    assert points["db.client.connection.count", "idle"].value == 1
    use: Any = points["db.client.connection.use_time",]
    assert (use.count, use.explicit_bounds, use.bucket_counts[BOUNDS.index(5.0)]) == (1, BOUNDS, 1)
    assert use.attributes == {"db.client.connection.pool.name": "default"}
