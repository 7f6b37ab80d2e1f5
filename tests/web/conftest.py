"""Fixtures: real web servers on a real PostgreSQL server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from servers.postgres import PostgresServer
from servers.postgres_binaries import PostgresNotFound

from .sites import Site, make_library

StartSite = Callable[..., Site]


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """Start a PostgreSQL server with the example project's tables."""
    try:
        server = PostgresServer(max_connections=100)
    except PostgresNotFound as error:
        pytest.skip(str(error))
    with server:
        make_library(server, 20)
        yield server


@pytest.fixture
def start_site(server: PostgresServer, tmp_path: Path) -> Iterator[StartSite]:
    """Return a function that starts web servers for one test: ``start_site(server, **arguments of Site)``."""
    with ExitStack() as stack:
        yield _starter(server, tmp_path, stack)


@pytest.fixture(scope="module")
def start_module_site(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartSite]:
    """Return a function that starts web servers for the tests of a module."""
    with ExitStack() as stack:
        yield _starter(server, tmp_path_factory.mktemp("sites"), stack)


def _starter(server: PostgresServer, folder: Path, stack: ExitStack) -> StartSite:
    def start(*arguments: object, **options: object) -> Site:
        site = Site(server, folder, *arguments, **options)  # type: ignore[arg-type]
        stack.callback(site.close)
        site.start()
        return site

    return start
