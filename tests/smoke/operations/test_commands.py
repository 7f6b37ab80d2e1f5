"""The commands that show and change the pools of running workers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import DEADLINE, eventually

from ..conftest import GREEN, StartWorker
from ..workers import PROJECT_FOLDER, Worker, result_of

LIMIT = 3
UNAVAILABLE = 69


@pytest.fixture(scope="module", params=[*GREEN, "threads"])
def worker(request: pytest.FixtureRequest, start_module_worker: StartWorker) -> Worker:
    options = {"MAX_CONNS": LIMIT, "CONN_WAIT_TIMEOUT": 60}
    return start_module_worker(request.param, options, aliases={"reports": {"MAX_CONNS": 2, "MIN_CONNS": 2}})


def celery(worker: Worker, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Celery's command line, as users do."""
    return subprocess.run(
        [sys.executable, "-m", "celery", "-A", "smoke_project.celery", *arguments],
        cwd=PROJECT_FOLDER,
        env=worker.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def inspect(worker: Worker, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``inspect`` for one worker, whose answer ends the command."""
    worker.await_answer()
    return celery(worker, "inspect", *arguments, "--destination", worker.hostname, "--timeout", str(DEADLINE))


@pytest.fixture
def installed() -> None:
    """Skip tests if the package isn't installed: Celery finds further commands by installed distributions."""
    if not entry_points(group="celery.commands", name="geventpool"):
        pytest.skip("celery-geventpool is on the path, but not installed")


def pool_of(answer: dict[str, Any], alias: str = "default") -> dict[str, Any]:
    (pool,) = (pool for pool in answer["pools"] if pool["alias"] == alias)
    return dict(pool)


def test_holders_are_named_by_their_tasks_and_nothing_else_is_told(worker: Worker) -> None:
    gate = worker.new_gate()
    tasks = worker.send_many(LIMIT + 2, "query_until", gate)
    worker.await_active(LIMIT)
    eventually(lambda: worker.numbers()["waiting"] == 2, "two tasks that wait")
    answer = worker.control("pools", options=["holders"])
    sessions = worker.connections()
    worker.open_gate(gate)
    for task in tasks:
        result_of(task)
    pool = pool_of(answer)
    assert (pool["limit"], pool["in_use"], pool["idle"], pool["waiting"]) == (LIMIT, LIMIT, 0, 2)
    assert {held["task"] for held in pool["holders"]} == {"smoke_project.tasks.query_until"}
    assert {held["task_id"] for held in pool["holders"]} <= {task.id for task in tasks}
    assert {held["state"] for held in pool["holders"]} == {"active"}
    assert sessions == LIMIT  # Answering takes no connection.
    text = json.dumps(answer)
    assert "pg_sleep" not in text
    assert gate not in text
    assert f"default: {LIMIT} of {LIMIT} in use, 0 idle, 2 waiting" in answer["ok"]
    assert "reports: not used yet, limit 2" in answer["ok"]


def test_the_command_line_prints_a_summary_or_everything_as_json(worker: Worker, installed: None) -> None:
    worker.run("double", 1)
    shown = inspect(worker, "pools")
    assert shown.returncode == 0, shown.stderr
    assert f"->  {worker.hostname}: OK\n        default: 0 of " in shown.stdout
    everything = inspect(worker, "pools", "holders", "--json")
    assert everything.returncode == 0, everything.stderr
    answer = json.loads(everything.stdout)[worker.hostname]
    assert pool_of(answer)["holders"] == []
    assert pool_of(answer)["checkouts"] >= 1


def test_an_unknown_option_is_named(worker: Worker) -> None:
    answer = worker.control("pools", options=["holder"])
    assert answer == {"error": "inspect pools knows no holder; it takes: holders, buckets, tasks."}


def test_the_limit_is_raised_at_once_and_lowered_as_connections_come_back(worker: Worker) -> None:
    gate = worker.new_gate()
    tasks = worker.send_many(LIMIT + 2, "query_until", gate)
    worker.await_active(LIMIT)
    eventually(lambda: worker.numbers()["waiting"] == 2, "two tasks that wait")
    answer = worker.control("pool_resize", alias="default", limit=str(LIMIT + 2))
    assert (answer["before"], answer["limit"]) == (LIMIT, LIMIT + 2)
    worker.await_active(LIMIT + 2)
    assert (
        worker.control("pool_resize", alias="default", limit=LIMIT)["ok"] == f"default: limit {LIMIT}, was {LIMIT + 2}"
    )
    assert worker.connections() == LIMIT + 2
    worker.open_gate(gate)
    for task in tasks:
        result_of(task)
    eventually(lambda: worker.connections() <= LIMIT, "as many connections as the limit allows")
    worker.control("pool_resize", alias="default", limit=LIMIT)
    assert worker.numbers()["limit"] == LIMIT


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alias": "default", "limit": "many"}, "MAX_CONNS must be a whole number of at least 1, not 'many'"),
        ({"alias": "default", "limit": "0"}, "MAX_CONNS must be a whole number of at least 1, not 0"),
        ({"alias": "default", "limit": True}, "MAX_CONNS must be a whole number of at least 1, not True"),
        ({"alias": "reports", "limit": "1"}, "MIN_CONNS (2) must not be above MAX_CONNS (1)"),
        ({"alias": "orders", "limit": "3"}, 'Those that have one: "default", "reports"'),
        ({"alias": "default"}, "pool_resize takes an alias and its new limit"),
        ({}, "pool_resize takes an alias and its new limit"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused_and_nothing_changes(
    worker: Worker, arguments: dict[str, Any], message: str
) -> None:
    worker.run("double", 1)
    answer = worker.control("pool_resize", **arguments)
    assert list(answer) == ["error"]
    assert message in answer["error"]
    answer = worker.control("pools")
    assert pool_of(answer)["limit"] == LIMIT
    assert answer["unused"] == {"reports": 2}


def test_idle_connections_are_closed(worker: Worker) -> None:
    worker.run("double", 1)
    eventually(lambda: worker.numbers()["idle"] >= 1, "an idle connection")
    answer = worker.control("pool_close_idle", alias="default")
    assert answer["closed"]["default"] >= 1
    eventually(lambda: worker.connections() == 0, "no connection")
    assert worker.control("pool_close_idle")["closed"] == {"default": 0}
    assert 'No database "orders" has a pool' in worker.control("pool_close_idle", alias="orders")["error"]


def test_top_prints_one_table(worker: Worker, installed: None) -> None:
    worker.run("double", 1)
    worker.await_answer()
    # The command always waits for a second.
    shown = eventually(
        lambda: (top := celery(worker, "geventpool", "top", "--once")).returncode != UNAVAILABLE and top, "an answer"
    )
    assert shown.returncode == 0, shown.stderr
    # If the pool has had two connections, a line tells of the limit that it shares.
    heading, _, default, reports, *_ = (line for line in shown.stdout.splitlines() if line.strip())
    assert "wait p95" in heading
    assert worker.hostname in default
    assert f"0/{LIMIT}" in default
    assert "0/2" in reports


@pytest.mark.parametrize("pool", ["gevent"])
def test_a_limit_set_before_the_first_connection_holds(pool: str, start_worker: StartWorker) -> None:
    worker = start_worker(pool, {"MAX_CONNS": 3})
    assert worker.control("pool_resize", alias="default", limit="2")["ok"] == "default: limit 2, was 3"
    assert worker.control("pools")["unused"] == {"default": 2}
    worker.limit = 2
    worker.assert_whole()


def test_top_says_that_no_worker_answers(start_worker: StartWorker, installed: None) -> None:
    worker = start_worker("solo", {}, start=False)
    shown = celery(worker, "geventpool", "top", "--once", "--timeout", "0.2")
    assert (shown.returncode, shown.stdout) == (UNAVAILABLE, "")
    assert "No worker answered within 0.2 s" in shown.stderr


def test_the_processes_of_a_prefork_worker_answer_for_themselves(start_worker: StartWorker, tmp_path: Path) -> None:
    worker = start_worker("prefork", {"MAX_CONNS": 3})
    gate = worker.new_gate()
    tasks = worker.send_many(2, "query_until", gate)
    worker.await_active(2)
    answer = worker.control("pools", options=["holders"])
    assert len({pool["pid"] for pool in answer["pools"]} - {worker.pid}) == 2
    assert {held["task_id"] for pool in answer["pools"] for held in pool["holders"]} == {task.id for task in tasks}
    assert answer["silent"] == []
    answer = worker.control("pool_resize", alias="default", limit="5")
    assert answer["ok"] == "default: limit 5, was 3, in each of 2 child processes"
    assert {pool["limit"] for pool in worker.control("pools")["pools"]} == {5}
    worker.revoke(tasks[:1])
    eventually(lambda: worker.connections() == 1, "the end of a child")
    worker.open_gate(gate)
    result_of(tasks[1])
    # The child that replaces a killed one starts with the new limit.
    for task in worker.send_many(4, "double", 1):
        result_of(task)
    assert {pool["limit"] for pool in worker.control("pools")["pools"]} == {5}
    busy = worker.control("pools")["pools"][-1]["pid"]
    os.kill(busy, signal.SIGSTOP)
    try:
        answer = worker.control("pools")
    finally:
        os.kill(busy, signal.SIGCONT)
    assert answer["silent"] == [busy]
    assert f"no answer from process {busy}" in answer["ok"]
    assert sum(worker.control("pool_close_idle")["closed"].values()) >= 1
    eventually(lambda: worker.connections() == 0, "no connection")
