"""Spans of waits, in workers that OpenTelemetry traces."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.waiting import eventually

from ..conftest import GREEN, StartWorker
from ..workers import Worker, result_of


@pytest.fixture
def start_traced(start_worker: StartWorker) -> StartWorker:
    pytest.importorskip("opentelemetry.instrumentation.celery")

    def start(pool: str, **options: Any) -> Worker:
        return start_worker(pool, {"MAX_CONNS": 1, **options}, settings={"include": ["smoke_project.traced"]})

    return start


def spans_of(worker: Worker, count: int) -> list[dict[str, Any]]:
    """Wait until the spans of so many tasks have ended, and return all."""

    def ended() -> list[dict[str, Any]]:
        spans: list[dict[str, Any]] = worker.control("spans")
        return spans if sum(span["name"].startswith("run/") for span in spans) == count else []

    return eventually(ended, f"spans of {count} tasks")


def span_of(spans: list[dict[str, Any]], task: str) -> dict[str, Any]:
    (span,) = [span for span in spans if span["attributes"].get("messaging.message.id") == task]
    return span


@pytest.mark.parametrize("pool", [*GREEN, "threads"])
def test_a_wait_is_a_part_of_the_span_of_the_task_that_waited(start_traced: StartWorker, pool: str) -> None:
    worker = start_traced(pool)
    gate = worker.new_gate()
    first = worker.send("query_until", gate)
    worker.await_active(1)
    second = worker.send("double", 4)
    eventually(lambda: worker.numbers()["waiting"] == 1, "one that waits")
    worker.open_gate(gate)
    result_of(first)
    assert result_of(second) == 8
    spans = spans_of(worker, 2)
    (wait,) = [span for span in spans if span["name"] == "wait for connection"]
    task = span_of(spans, second.id)
    assert (wait["parent"], wait["trace"]) == (task["id"], task["trace"])
    assert wait["attributes"] == {"db.client.connection.pool.name": "default", "db.system.name": "postgresql"}
    assert wait["status"] == "UNSET"
    assert 0 < wait["seconds"] <= task["seconds"]
    waited = worker.control("pools", options=["buckets"])["pools"][0]["wait_time"]
    assert wait["seconds"] == pytest.approx(waited["total"], abs=0.05)


def test_a_wait_that_takes_too_long_is_an_error_without_its_message(start_traced: StartWorker) -> None:
    worker = start_traced("gevent", CONN_WAIT_TIMEOUT=0.5)
    gate = worker.new_gate()
    first = worker.send("query_until", gate)
    worker.await_active(1)
    second = worker.send("double", 4)
    with pytest.raises(Exception, match=r"no connection came free within 0\.5 s"):  # Of a class that the client makes.
        result_of(second)
    worker.open_gate(gate)
    result_of(first)
    spans = spans_of(worker, 2)
    (wait,) = [span for span in spans if span["name"] == "wait for connection"]
    assert wait["parent"] == span_of(spans, second.id)["id"]
    assert wait["attributes"]["error.type"] == "django_geventpool.errors.PoolTimeout"
    assert wait["status"] == "ERROR"
    assert wait["seconds"] == pytest.approx(0.5, abs=0.3)
