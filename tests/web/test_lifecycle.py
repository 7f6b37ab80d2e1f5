"""The ends of gunicorn's workers: no connection is left, and none is cut off while a request finishes."""

from __future__ import annotations

import os
import signal

import pytest

from servers.web_server import gunicorn
from tests.support.waiting import eventually

from .conftest import StartSite
from .load import begin
from .sites import LIMIT, WSGI, Site
from .workers import WORKERS

ACTIVE = "state = 'active'"


@pytest.fixture(params=WORKERS)
def worker(request: pytest.FixtureRequest) -> str:
    worker: str = request.param
    return worker


@pytest.fixture
def site(worker: str, start_site: StartSite) -> Site:
    """Start a server with one worker, beside which its successor may start."""
    return start_site(gunicorn(WSGI, worker, *WORKERS[worker]), processes=2)


def await_gone(site: Site, pids: list[int]) -> None:
    """Wait for the end of sessions: every two seconds, the server checks whether a running query's client is there."""
    eventually(lambda: not set(site.sessions()) & set(pids), f"the end of the connections {pids}", timeout=8)


def test_a_killed_worker_leaves_no_query_and_no_connection(site: Site) -> None:
    first = site.numbers()["process"]
    lost = begin(site.port, "/-/ask?seconds=600", 2 * LIMIT)
    pids = site.await_sessions(LIMIT, ACTIVE)
    os.kill(first, signal.SIGKILL)
    await_gone(site, pids)
    assert all(future.exception() is not None for future in lost)
    assert site.get("/").status == 200
    assert site.numbers()["process"] != first
    site.await_quiet()


# The threads of gthread can't block the one that reports that the worker is alive.
@pytest.mark.parametrize("worker", [name for name in WORKERS if name != "gthread"])
def test_a_worker_that_does_not_answer_in_time_leaves_no_connection(worker: str, start_site: StartSite) -> None:
    site = start_site(gunicorn(WSGI, worker, "--timeout", "3"), processes=2)
    first = site.numbers()["process"]
    lost = begin(site.port, "/-/block_process", 1)
    pids = site.await_sessions(1, "state = 'idle in transaction'")
    await_gone(site, pids)
    # Some workers still have time to answer.
    assert lost[0].exception() is not None or lost[0].result().status == 500
    assert site.get("/").status == 200
    assert site.numbers()["process"] != first
    site.await_quiet()


def test_a_reload_lets_requests_finish_and_leaves_no_connection(site: Site) -> None:
    first = site.numbers()["process"]
    finishing = begin(site.port, "/-/ask?seconds=3", 2 * LIMIT)
    pids = site.await_sessions(LIMIT, ACTIVE)
    eventually(lambda: site.numbers()["pool"]["waiting"] == LIMIT, "the other requests waiting")
    site.send_signal(signal.SIGHUP)
    site.wait_for_log(rf"Worker exiting \(pid: {first}\)")
    assert {future.result().status for future in finishing} == {200}
    await_gone(site, pids)
    assert site.get("/").status == 200
    assert site.numbers()["process"] != first
    site.await_quiet()


def test_the_end_lets_requests_finish_and_leaves_no_connection(site: Site) -> None:
    finishing = begin(site.port, "/-/ask?seconds=3", LIMIT)
    site.await_sessions(LIMIT, ACTIVE)
    assert site.stop() == 0
    assert {future.result().status for future in finishing} == {200}
    # When the session is gone, so are all others that the server has ended.
    site.await_no_connection()
