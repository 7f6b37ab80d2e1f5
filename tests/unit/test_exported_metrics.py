"""Exported names, kinds, units and labels stay as they are: users' dashboards and alerts query them.

New ones may be added.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from django_geventpool import pools
from django_geventpool.options import PoolOptions
from django_geventpool.pool import Pool
from tests.support.scripted import ScriptedDriver

PROMETHEUS = """\
geventpool_cancelled counter alias worker
geventpool_checkouts counter alias worker
geventpool_closed counter alias reason worker
geventpool_connections gauge alias state worker
geventpool_connects counter alias worker
geventpool_create_seconds histogram alias worker
geventpool_failed_connects counter alias worker
geventpool_fleet_limit gauge alias worker
geventpool_fleet_share gauge alias worker
geventpool_limit gauge alias worker
geventpool_longest_held_seconds gauge alias worker
geventpool_longest_wait_seconds gauge alias worker
geventpool_pinned counter alias kind worker
geventpool_reclaimed counter alias worker
geventpool_reconnects counter alias worker
geventpool_timeouts counter alias worker
geventpool_use_seconds histogram alias worker
geventpool_wait_seconds histogram alias worker
geventpool_waiting gauge alias worker
"""

OPENTELEMETRY = """\
db.client.connection.count Sum {connection} pool.name state
db.client.connection.create_time Histogram s pool.name
db.client.connection.idle.max Sum {connection} pool.name
db.client.connection.idle.min Sum {connection} pool.name
db.client.connection.max Sum {connection} pool.name
db.client.connection.pending_requests Sum {request} pool.name
db.client.connection.timeouts Sum {timeout} pool.name monotonic
db.client.connection.use_time Histogram s pool.name
db.client.connection.wait_time Histogram s pool.name
"""

INSPECT = """\
alias cancelled checkouts closed closing connect_failed_ago connecting connects create_time failed_connects fleet
fleet_limit fleet_share idle in_use is_fleet_readable limit longest_held longest_holder longest_wait pid pinned
reclaimed reconnects size timeouts use_time wait_time waiting waits
"""


@pytest.fixture(autouse=True)
def pool() -> Iterator[Pool]:
    """Return a pool that has closed a connection, and kept one for its session."""
    made = pools.obtain("default", None, lambda: Pool("default", ScriptedDriver(), PoolOptions()))
    made.putconn(made.getconn())
    made.close_idle()
    made.count_pins(["setting"])
    yield made
    pools.close_all()


def test_prometheus_names() -> None:
    pytest.importorskip("prometheus_client")
    from celery_geventpool.metrics.prometheus import PoolCollector

    found = []
    for metric in PoolCollector("w@host").collect():
        labels = sorted({label for sample in metric.samples for label in sample.labels if label != "le"})
        found.append(f"{metric.name} {metric.type} {' '.join(labels)}")
    assert set(PROMETHEUS.splitlines()) - set(found) == set()


def test_opentelemetry_names() -> None:
    pytest.importorskip("opentelemetry.sdk")
    from tests.support.otel import exported_metrics

    found = []
    for metric in exported_metrics().values():
        keys = {
            key.removeprefix("db.client.connection.")
            for point in metric.data.data_points
            for key in point.attributes or ()
        }
        kind = type(metric.data).__name__
        monotonic = " monotonic" if getattr(metric.data, "is_monotonic", False) else ""
        found.append(f"{metric.name} {kind} {metric.unit} {' '.join(sorted(keys))}{monotonic}")
    assert set(OPENTELEMETRY.splitlines()) - set(found) == set()


def test_names_in_the_answer_of_inspect_pools() -> None:
    from celery_geventpool.operations import show

    (answer,) = show()
    assert set(INSPECT.split()) - set(answer) == set()
