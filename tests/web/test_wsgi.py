"""Requests of gunicorn's workers share a few connections."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import wait

import pytest

from servers.web_server import gunicorn
from tests.support.waiting import eventually

from .conftest import StartSite
from .load import TIMEOUT, ask_at_once, begin
from .sites import LIMIT, WSGI, Site
from .workers import PRELOAD, WORKERS

PAGES = ["/", "/m1.py", "/-/ask?seconds=0.005"]
CLIENTS = 200

SITES = {f"{name}{preload}": name for name in WORKERS for preload in ("", "-preload")}


@pytest.fixture(scope="module", params=SITES)
def name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def site(name: str, start_module_site: StartSite) -> Site:
    """Start a server with one worker. With --preload, its master has queried the database, and kept the connection."""
    worker = SITES[name]
    if name == worker:
        return start_module_site(gunicorn(WSGI, worker, *WORKERS[worker]))
    server = gunicorn(WSGI, worker, *WORKERS[worker], *PRELOAD[worker])
    site = start_module_site(server, others=1, env={"WEB_ASK_AT_IMPORT": "yes"})
    site.wait_for_log("asked at import")
    return site


def test_hundreds_of_requests_at_once_share_the_connections(site: Site) -> None:
    answers = ask_at_once(site.port, PAGES, CLIENTS)
    assert Counter(answer.status for answer in answers) == {200: CLIENTS * len(PAGES)}
    site.await_quiet()
    pool = site.numbers()["pool"]
    assert pool["connects"] == pool["size"] == LIMIT
    assert site.watcher.seen().most == site.bound


def test_the_process_answers_while_all_connections_work_and_others_wait(name: str, site: Site) -> None:
    waiting = begin(site.port, "/-/ask?seconds=600", LIMIT + 3)
    site.await_sessions(LIMIT, "state = 'active'")
    numbers = site.numbers()
    assert numbers["framework"] == SITES[name].replace("gthread", "threads")
    assert (numbers["pool"]["in_use"], numbers["pool"]["size"]) == (LIMIT, LIMIT)
    while not all(future.done() for future in waiting):
        site.cancel_queries()
        wait(waiting, 0.1)
    # Failed queries lose no connections either.
    assert {future.result().status for future in waiting} == {500}
    site.await_quiet()
    assert site.numbers()["pool"]["connects"] == numbers["pool"]["connects"]


@pytest.mark.parametrize("page", ["/-/fail", "/-/fail_in_atomic"])
def test_the_connection_comes_back_when_a_view_raises(page: str, site: Site) -> None:
    site.assert_given_back_after_errors(page)


def test_the_connection_comes_back_when_the_client_hangs_up_half_way(site: Site) -> None:
    site.assert_given_back_after_hang_up("/-/stream")


def test_each_process_has_its_own_limit(start_site: StartSite) -> None:
    site = start_site(gunicorn(WSGI, "gevent", "--workers", "2"), processes=2)
    processes: set[int] = set()

    def all_answer() -> bool:
        processes.add(site.numbers()["process"])
        return len(processes) == 2

    # The server listens before all processes have started: the first could get all requests.
    eventually(all_answer, "an answer of each process")
    pages = ["/", "/-/ask?seconds=0.05"]
    answers = ask_at_once(site.port, pages, CLIENTS // 2)
    assert Counter(answer.status for answer in answers) == {200: CLIENTS}
    assert LIMIT < site.watcher.seen().most <= 2 * LIMIT


def test_patching_after_the_import_of_django_is_refused_with_what_to_do(start_site: StartSite) -> None:
    site = start_site(gunicorn(WSGI, "gevent", "--preload"), others=1, env={"WEB_ASK_AT_IMPORT": "yes"})
    assert site.get("/").status == 500
    message = "monkey-patched after Django's database engine had been imported"
    assert message in site.wait_for_log(rf"DatabaseError: .*{message}.*gunicorn\.conf\.py.*", TIMEOUT)[0]
