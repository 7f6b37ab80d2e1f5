"""The page that a worker serves for Prometheus."""

from __future__ import annotations

import re
import urllib.request
from importlib.metadata import entry_points

import pytest

from ..conftest import GREEN, StartWorker
from ..workers import Worker, result_of


@pytest.fixture(autouse=True)
def installed() -> None:
    """Skip tests if the package isn't installed: Celery finds further options by installed distributions."""
    pytest.importorskip("prometheus_client")
    if not entry_points(group="celery.commands", name="geventpool"):
        pytest.skip("celery-geventpool is on the path, but not installed")


def start(start_worker: StartWorker, pool: str, port: str = "0") -> Worker:
    return start_worker(pool, {"MAX_CONNS": 3}, arguments=["--pool-metrics-port", port])


def address(worker: Worker) -> str:
    return worker.wait_for_log(r"Metrics of the pools: http://(127\.0\.0\.1:\d+)/metrics")[1]


def scrape(worker: Worker) -> str:
    with urllib.request.urlopen(f"http://{address(worker)}/metrics", timeout=10) as page:
        return str(page.read().decode())


def scrape_busy(worker: Worker) -> str:
    """Return the page that is served while two tasks are in the middle of a query."""
    gate = worker.new_gate()
    tasks = worker.send_many(2, "query_until", gate)
    worker.await_active(2)
    page = scrape(worker)
    worker.open_gate(gate)
    for task in tasks:
        result_of(task)
    return page


@pytest.mark.parametrize("pool", [*GREEN, "threads"])
def test_the_numbers_of_a_worker_are_served_while_it_works(pool: str, start_worker: StartWorker) -> None:
    worker = start(start_worker, pool)
    page = scrape_busy(worker)
    assert f'geventpool_connections{{alias="default",state="in_use",worker="{worker.hostname}"}} 2.0\n' in page
    assert f'geventpool_limit{{alias="default",worker="{worker.hostname}"}} 3.0\n' in page


def test_the_processes_of_a_prefork_worker_are_told_apart(start_worker: StartWorker) -> None:
    worker = start(start_worker, "prefork")
    page = scrape_busy(worker)
    in_use = dict(
        re.findall(
            r'^geventpool_connections\{alias="default",pid="(\d+)",state="in_use",.*\} (.*)$', page, re.MULTILINE
        )
    )
    assert list(in_use.values()) == ["1.0", "1.0"]


def test_a_worker_whose_port_is_taken_says_so_and_goes_on(start_worker: StartWorker) -> None:
    first = start(start_worker, "gevent")
    port = address(first).rpartition(":")[2]
    second = start(start_worker, "gevent", port)
    message = second.wait_for_log(r"ERROR.*No metrics are served on 127\.0\.0\.1:(\d+): .*")
    assert message[1] == port
    assert "choose another --pool-metrics-port" in message[0]
    assert second.run("double", 2) == 4
    assert second.hostname not in scrape(first)
