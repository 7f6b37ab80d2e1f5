"""Fixtures: Django on a real server, and a database alias for each test."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any, Protocol

import django
import pytest
from django.conf import settings

from servers.pgbouncer import PgBouncer, PgBouncerNotFound, PoolMode
from servers.postgres_address import Postgres
from servers.postgres_binaries import PostgresNotFound
from servers.tls import OpensslNotFound
from tests.support.drivers import ENGINE
from tests.support.tls import TlsServer, tls_server

settings.configure(
    DATABASES={"default": {"ENGINE": ENGINE}},
    INSTALLED_APPS=["celery_geventpool", "tests.testapp"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    TIME_ZONE="Asia/Tokyo",
    USE_TZ=True,
)
django.setup()

from celery_geventpool import steps  # noqa: E402  settings come first
from celery_geventpool.outcomes import Clerk  # noqa: E402
from tests.support.database import Database  # noqa: E402
from tests.support.observer import Observer  # noqa: E402
from tests.support.scene import make_rows, remove_rows  # noqa: E402
from tests.support.schema import make_schema  # noqa: E402
from tests.support.waiting import DEADLINE  # noqa: E402

#: Runs a test with its parameter ``mode`` set to each mode.
MODES = pytest.mark.parametrize("mode", ["session", "transaction"])


class MakeDatabase(Protocol):
    """Makes a database alias for the test, with OPTIONS as keyword arguments."""

    def __call__(
        self,
        *,
        server: Postgres = ...,
        role_limit: int | None = ...,
        settings: dict[str, Any] | None = ...,
        **options: Any,
    ) -> Database: ...


class PutPgBouncerBefore(Protocol):
    """Puts a PgBouncer before a database that wasn't used yet; see the class for the arguments."""

    def __call__(
        self, database: Database, pool_mode: PoolMode, *, size: int | None = ..., **settings: str | int
    ) -> PgBouncer: ...


class _Refusals(logging.Handler):
    """Records when a server tells a pool that it is full."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if "the server has no connection left" in record.getMessage():
            self.messages.append(record.getMessage())


@pytest.fixture(scope="session")
def schema(postgres: Postgres) -> None:
    """The tables of the test app, created once."""
    make_schema(postgres)


@pytest.fixture(scope="session")
def observer(postgres: Postgres) -> Iterator[Observer]:
    """Samples the sessions of all roles on the server."""
    with Observer(postgres) as observer:
        yield observer


@pytest.fixture(scope="module")
def rows(postgres: Postgres, schema: None) -> Iterator[None]:
    """Rows for small programs to read."""
    make_rows(postgres)
    yield
    remove_rows(postgres)


@pytest.fixture
def make_database(postgres: Postgres) -> Iterator[MakeDatabase]:
    """Make database aliases for this test. At its end, each must have no session left on its server.

    Each has a role with a CONNECTION LIMIT of MAX_CONNS. Unless the test sets another one, the pool must never hit it.
    """
    logger = logging.getLogger("geventpool.pool")
    refusals = _Refusals()
    logger.setLevel(logging.DEBUG)
    logger.addHandler(refusals)
    may_be_refused = False

    with contextlib.ExitStack() as stack:
        stack.callback(logger.removeHandler, refusals)

        def make(
            *,
            server: Postgres = postgres,
            role_limit: int | None = None,
            settings: dict[str, Any] | None = None,
            **options: Any,
        ) -> Database:
            nonlocal may_be_refused
            may_be_refused = may_be_refused or role_limit is not None
            database = Database(server, options, role_limit=role_limit, **(settings or {}))
            stack.callback(database.close)
            return database

        yield make
    if not may_be_refused:
        assert refusals.messages == [], "the pool opened more than MAX_CONNS connections"


@pytest.fixture
def put_pgbouncer_before(make_database: MakeDatabase) -> Iterator[PutPgBouncerBefore]:
    """Start PgBouncers for this test, each with MAX_CONNS connections to the server, or the number that the test sets.

    They end before the databases do.
    """
    with contextlib.ExitStack() as stack:

        def put(
            database: Database, pool_mode: PoolMode, *, size: int | None = None, **settings: str | int
        ) -> PgBouncer:
            dsn = database.server.dsn
            dsn["user"] = database.role
            try:
                pooler = PgBouncer(dsn, pool_mode=pool_mode, size=size or database.limit, **settings)
            except PgBouncerNotFound as error:
                pytest.skip(str(error))
            stack.enter_context(pooler)
            database.settings.update(HOST=pooler.host, PORT=pooler.port)
            return pooler

        yield put


@pytest.fixture(scope="session")
def tls() -> Iterator[TlsServer]:
    """A server that accepts TLS and SCRAM only."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(tls_server())
        except (OpensslNotFound, PostgresNotFound) as error:
            pytest.skip(f"no server with TLS (apt-get install openssl postgresql): {error}")
        yield server


@pytest.fixture
def clerk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clerk]:
    """A clerk of the test's own."""
    clerk = Clerk()
    monkeypatch.setattr(steps, "clerk", lambda: clerk)
    yield clerk
    assert clerk.wait(DEADLINE)
