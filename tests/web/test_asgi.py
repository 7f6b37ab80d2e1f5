"""Asynchronous views: each thread that runs synchronous code for them is a holder."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from servers.web_server import uvicorn
from tests.support.waiting import eventually

from .conftest import StartSite
from .load import ask_at_once, unread
from .sites import ASGI, LIMIT, Site

MODES = ("session", "transaction")
CLIENTS = 150
PAGES = [
    "/",  # A synchronous view.
    "/-/async/orm?path=m1.py",
    "/-/async/ask?seconds=0.005",
    "/-/async/ask_elsewhere?seconds=0.005",
    "/-/async/ask_in_thread",
]


@pytest.fixture(scope="module", params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    mode: str = request.param
    return mode


@pytest.fixture(scope="module")
def site(mode: str, start_module_site: StartSite) -> Site:
    return start_module_site(uvicorn(ASGI), POOL_MODE=mode)


def test_hundreds_of_requests_at_once_share_the_connections(site: Site) -> None:
    answers = ask_at_once(site.port, PAGES, CLIENTS)
    assert Counter(answer.status for answer in answers) == {200: CLIENTS * len(PAGES)}
    site.await_quiet()
    pool = site.numbers()["pool"]
    assert pool["connects"] == pool["size"] == site.watcher.seen().most == LIMIT


def test_asynchronous_queries_find_what_is_there(site: Site) -> None:
    answer = site.get("/-/async/orm?path=m7.py")
    assert json.loads(answer.body) == {"name": "m7", "definitions": ["m7_function", "m7_class"]}
    site.await_quiet()


def test_each_thread_of_a_request_is_a_holder(site: Site, mode: str) -> None:
    pids = json.loads(site.get("/-/async/gather?seconds=2").body)["pids"]
    # The request's own thread makes one query after the other, and three other threads at the same time.
    here, elsewhere = set(pids[:3]), set(pids[3:])
    assert len(here | elsewhere) <= 4
    if mode == "session":
        assert len(here) == 1
        assert len(elsewhere) == 3
        assert not here & elsewhere
    site.await_quiet()


@pytest.mark.parametrize("page", ["/-/async/fail", "/-/fail_in_atomic"])
def test_the_connection_comes_back_when_a_view_raises(page: str, site: Site) -> None:
    site.assert_given_back_after_errors(page)


def test_the_connection_comes_back_when_the_client_hangs_up_half_way(site: Site) -> None:
    site.assert_given_back_after_hang_up("/-/async/stream")


@pytest.mark.parametrize("page", ["ask", "ask_elsewhere", "gather"])
def test_the_connection_comes_back_when_the_client_hangs_up_in_mid_query(page: str, site: Site) -> None:
    with unread(site.port, f"/-/async/{page}?seconds=3"):
        eventually(lambda: site.sessions("state = 'active'"), "a query")
    site.await_quiet()


def test_a_task_that_outlives_its_view_gives_back(site: Site) -> None:
    assert site.get("/-/async/leave_task_behind?seconds=0.5").status == 200
    site.await_quiet()


def test_mode_transaction_needs_no_care(start_site: StartSite) -> None:
    """Neither for requests that wait for threads without a connection, nor for threads that don't give back."""
    site = start_site(uvicorn(ASGI), POOL_MODE="transaction")
    pages = ["/-/async/gather?seconds=0.005", "/-/async/ask_elsewhere_and_forget?seconds=0.005"]
    answers = ask_at_once(site.port, pages, CLIENTS)
    assert Counter(answer.status for answer in answers) == {200: CLIENTS * len(pages)}
    site.await_quiet()


def test_in_mode_session_a_thread_that_lives_on_keeps_its_connection_and_is_warned_about(
    start_site: StartSite,
) -> None:
    site = start_site(uvicorn(ASGI), LEAK_WARNING_AFTER=0.5)
    assert site.get("/-/async/ask_elsewhere_and_forget").status == 200
    site.wait_for_log(r"thread asyncio_0 .*(?:\n.*)*?web_project/views\.py")
    assert site.numbers()["pool"]["in_use"] == 1


def test_the_end_leaves_no_connection(start_site: StartSite) -> None:
    site = start_site(uvicorn(ASGI))
    assert {answer.status for answer in ask_at_once(site.port, PAGES, 2 * LIMIT)} == {200}
    site.stop()
    site.await_no_connection()
