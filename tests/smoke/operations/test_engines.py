"""Workers of a project whose engine is derived from ours."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from servers.celery_worker import WorkerFailed
from tests.support.waiting import eventually

from ..conftest import GREEN, StartWorker
from ..workers import Worker
from .test_start import start_lines

ENGINE = {"ENGINE": "smoke_project.engine"}


# In each framework: tests/integration/test_derived_engines.py.
@pytest.mark.parametrize("pool", ["gevent"])
def test_the_worker_says_what_its_tasks_share_and_knows_the_limit(pool: str, start_worker: StartWorker) -> None:
    worker = start_worker(pool, {"MAX_CONNS": 3, "max_size": 4}, start=False, database=ENGINE)
    worker.start()
    (line,) = start_lines(worker)
    assert f"engine smoke_project.engine, limit 3, mode session, framework {pool}, driver psycopg" in line
    assert worker.wait_for_log(r'WARNING.*\["OPTIONS"\]\["max_size"\] goes to the driver.*Set "MAX_CONNS" in OPTIONS')
    assert worker.control("pools")["unused"] == {"default": 3}
    assert worker.control("pool_resize", alias="default", limit="2")["limit"] == 2


def test_a_bad_option_ends_the_worker(start_worker: StartWorker) -> None:
    worker = start_worker("gevent", {"MAX_CONN": 3}, start=False, database=ENGINE)
    with pytest.raises(WorkerFailed, match="Unknown pool option MAX_CONN: did you mean MAX_CONNS"):
        worker.start()


def test_without_the_app_is_missing_what_the_check_says(start_worker: StartWorker) -> None:
    """The check is geventpool.W003; nothing else is missing."""
    worker = start_worker("gevent", {"MAX_CONN": 3, "MAX_CONNS": 3}, start=False, apps=[])
    worker.start()  # In spite of the wrong option.
    assert start_lines(worker) == []
    worker = start_worker("gevent", {"MAX_CONNS": 3}, apps=[], arguments=["--pool-metrics-port", "0"])
    gate = worker.new_gate()
    task = worker.send("query_until", gate)
    worker.await_active(1)
    (shown,) = worker.control("pools", options=["holders"])["pools"]
    assert [held["task"] for held in shown["holders"]] == [None]
    worker.revoke([task])
    worker.assert_whole()
    assert "/metrics" not in worker.log


def test_without_the_app_the_pools_of_child_processes_are_not_shown(start_worker: StartWorker) -> None:
    worker = start_worker("prefork", {"MAX_CONNS": 3}, apps=[])
    assert worker.run("double", 1) == 2
    answer = worker.control("pools")
    assert (answer["pools"], answer["unused"]) == ([], {"default": 3})


@pytest.mark.parametrize("pool", GREEN)
def test_a_task_id_with_line_breaks_forges_no_line(pool: str, shared_workers: Callable[[str], Worker]) -> None:
    worker = shared_workers(pool)
    evil = "1]\n[2026-01-01 00:00:00,000: WARNING/MainProcess] forged\x1b[2J"
    gate = worker.new_gate()
    worker.send("query_until", gate, task_id=evil, ignore_result=True)
    worker.await_active(1)
    answer = worker.control("pools", options=["holders"])
    worker.open_gate(gate)
    eventually(worker.is_quiet, "a quiet pool")
    (held,) = answer["pools"][0]["holders"]
    assert held["task_id"] == evil
    assert held["holder"].isprintable()
    assert all(line.isprintable() for line in answer["ok"].splitlines())
    assert not any(line.startswith("[2026") for line in answer["ok"].splitlines())
