"""Fixtures: the admin in a web server, real workers, and users with the system's Chromium."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, StorageState, expect, sync_playwright

from servers.postgres import PostgresServer
from servers.redis import RedisNotFound, RedisServer
from tests.smoke.watched_server import watched_server
from tests.smoke.workers import Worker
from tests.support.waiting import DEADLINE, eventually

from .pools_page import PoolsPage
from .site import AdminSite

LIMIT = 4
Visit = Callable[..., PoolsPage]
Load = Callable[..., Path]

expect.set_options(timeout=DEADLINE * 1000)


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    with watched_server() as server:
        yield server


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    try:
        server = RedisServer()
    except RedisNotFound as error:
        pytest.skip(str(error))
    with server:
        yield server


@pytest.fixture(scope="session")
def worker(server: PostgresServer, redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """A worker whose log tells of each command that it gets."""
    with Worker(
        server,
        "busy",
        tmp_path_factory.mktemp("worker") / "busy",
        pool="gevent",
        concurrency=50,
        options={"MAX_CONNS": LIMIT, "CONN_WAIT_TIMEOUT": 60},
        settings={"broker_url": redis.url},
        loglevel="DEBUG",
    ) as worker:
        worker.await_answer()
        yield worker


@pytest.fixture(scope="session")
def site(server: PostgresServer, worker: Worker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdminSite]:
    celery = {"broker_url": str(worker.client.conf.broker_url)}
    with AdminSite(server, tmp_path_factory.mktemp("site"), celery) as site:
        yield site


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The system's browser; nothing is downloaded."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no chromium on PATH: apt-get install chromium")
    with sync_playwright() as playwright:
        # Chromium's own sandbox doesn't work for root, nor in most containers. It only visits our own site.
        browser = playwright.chromium.launch(executable_path=program, chromium_sandbox=False)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def session_of(chromium: Browser, site: AdminSite) -> Callable[[str], StorageState]:
    """Return a function that returns the cookies of a user who has logged in."""
    sessions: dict[str, StorageState] = {}

    def get(name: str) -> StorageState:
        if name not in sessions:
            context = chromium.new_context()
            page = context.new_page()
            page.goto(f"{site.url}/admin/login/")
            page.fill("[name=username]", name)
            page.fill("[name=password]", name)
            page.click("[type=submit]")
            page.wait_for_url(f"{site.url}/admin/")
            sessions[name] = context.storage_state()
            context.close()
        return sessions[name]

    return get


@pytest.fixture
def visit(chromium: Browser, site: AdminSite, session_of: Callable[[str], StorageState]) -> Iterator[Visit]:
    """Return a function that gives a user a browser: ``visit("operator", **options of the browser's context)``.

    Afterwards, no console may have an error, but of requests that failed.
    """
    pages: list[PoolsPage] = []
    with ExitStack() as stack:

        def begin(name: str | None = "operator", **options: Any) -> PoolsPage:
            context = chromium.new_context(storage_state=None if name is None else session_of(name), **options)
            context.set_default_timeout(DEADLINE * 1000)
            stack.callback(context.close)
            pages.append(PoolsPage(context, site))
            return pages[-1]

        yield begin
        assert [error for page in pages for error in page.errors] == []


@pytest.fixture
def load(worker: Worker, tmp_path: Path) -> Iterator[Load]:
    """Return a function that lets tasks of the worker hold connections; they end with the test, or with the file."""
    go = tmp_path / "go"

    def start(tasks: int, name: str = "hold_until") -> Path:
        worker.send_many(tasks, name, str(go))
        return go

    yield start
    go.touch()
    eventually(worker.is_quiet, "the end of the tasks")
