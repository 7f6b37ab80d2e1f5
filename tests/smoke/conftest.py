"""Fixtures: real workers on a real server."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from servers.postgres import PostgresServer
from servers.redis import RedisNotFound, RedisServer

from .watched_server import migrate, watched_server
from .workers import Worker

StartWorker = Callable[..., Worker]

GREEN = ("gevent", "eventlet")
POOLS = (*GREEN, "threads", "prefork", "solo")
#: INSTALLED_APPS of workers that store their results in the database.
RESULTS_APPS = ("celery_geventpool", "django_celery_results")
CONCURRENCY = {"gevent": 100, "eventlet": 100, "threads": 100, "prefork": 2, "solo": 1}

_numbers = itertools.count()


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL server whose log tells of each connection."""
    with watched_server() as server:
        yield server


@pytest.fixture(scope="session")
def results_table(server: PostgresServer) -> None:
    """The tables of the apps of workers that store their results in the database."""
    migrate(server, RESULTS_APPS)


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A Redis server for one test."""
    try:
        server = RedisServer()
    except RedisNotFound as error:
        pytest.skip(str(error))
    with server:
        yield server


def _starter(server: PostgresServer, folder: Path, stack: ExitStack) -> StartWorker:
    def start(pool: str, options: dict[str, Any], *, start: bool = True, **arguments: Any) -> Worker:
        name = f"{pool}-{next(_numbers)}"
        arguments.setdefault("concurrency", CONCURRENCY[pool])
        worker = Worker(arguments.pop("server", server), name, folder / name, pool=pool, options=options, **arguments)
        stack.callback(worker.__exit__)
        if start:
            worker.start()
        return worker

    return start


@pytest.fixture
def start_worker(server: PostgresServer, tmp_path: Path) -> Iterator[StartWorker]:
    """Return a function that starts workers for one test: ``start_worker(pool, OPTIONS, **arguments of Worker)``."""
    with ExitStack() as stack:
        yield _starter(server, tmp_path, stack)


@pytest.fixture(scope="module")
def start_module_worker(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartWorker]:
    """Return a function that starts workers for the tests of a module."""
    with ExitStack() as stack:
        yield _starter(server, tmp_path_factory.mktemp("workers"), stack)


@pytest.fixture(scope="session")
def shared_workers(
    server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Worker]]:
    """Return a function that returns a worker of a pool class with ordinary settings; the first call starts it."""
    started: dict[str, Worker] = {}
    with ExitStack() as stack:
        start = _starter(server, tmp_path_factory.mktemp("shared"), stack)

        def get(pool: str) -> Worker:
            if pool not in started:
                limit = 20 if CONCURRENCY[pool] == 100 else 3
                options: dict[str, Any] = {"MAX_CONNS": limit, "CONN_WAIT_TIMEOUT": 60}
                if pool in GREEN:
                    # So that killed queries are stopped by the pool, not by the server when it misses its client.
                    options["options"] = "-c client_connection_check_interval=0"
                started[pool] = start(pool, options)
            return started[pool]

        yield get
