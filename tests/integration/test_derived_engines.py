"""Engines derived from ours: their overridden methods find the same as with Django's own engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from django.db.backends.signals import connection_created

from tests.support.database import Database
from tests.support.derived_engines import engine_of
from tests.support.forks import in_child
from tests.support.tasks import Task
from tests.support.tenant_engines import ENGINES, Engine, UntilClose
from tests.testapp.models import Item

from .conftest import MODES, MakeDatabase


def tenant(database: Database) -> str:
    return str(database.fetch("select current_setting('app.tenant', true)")[0][0])


def be(database: Database, name: str) -> None:
    """Work as a tenant, then give back."""
    database.connection.tenant = name
    assert tenant(database) == name
    with transaction.atomic(using=database.alias):
        assert tenant(database) == name
    database.give_back()


@MODES
@pytest.mark.parametrize("discard", [False, True])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.usefixtures("schema")
def test_nobody_meets_the_session_of_another_tenant(
    make_database: MakeDatabase, engine: type, mode: str, discard: bool
) -> None:
    database = make_database(
        MAX_CONNS=1, POOL_MODE=mode, ON_RELEASE_DISCARD_ALL=discard, settings={"ENGINE": engine_of(engine)}
    )
    for _ in range(2):
        database.connection.tenant = "amber"
        for _ in range(2):
            assert tenant(database) == "amber"
            if mode == "session":
                database.give_back()
            assert database.stats().in_use == 0
            Task(be, database, "birch").result()
            with transaction.atomic(using=database.alias):
                assert tenant(database) == "amber"
            if mode == "session":
                database.give_back()
            Task(be, database, "cedar").result()
        # By a server-side cursor.
        assert list(Item.objects.using(database.alias).filter(pk=0).iterator()) == []
        database.give_back()
    database.assert_whole()


@pytest.fixture
def failing_once() -> Iterator[list[bool]]:
    """Yield a list: while it isn't empty, receivers of connection_created use the wrapper and fail."""
    failures: list[bool] = []

    def receiver(connection: Any, **_kwargs: Any) -> None:
        if failures:
            with connection.cursor() as cursor:
                cursor.execute("select 1")
            failures.clear()
            raise LookupError

    connection_created.connect(receiver)
    yield failures
    connection_created.disconnect(receiver)


@MODES
@pytest.mark.parametrize("is_set_up", [False, True])
def test_an_engine_hears_of_a_connection_that_was_given_back_while_it_was_set_up(
    make_database: MakeDatabase, failing_once: list[bool], mode: str, is_set_up: bool
) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode, settings={"ENGINE": engine_of(UntilClose)})
    database.connection.tenant = "amber"
    if is_set_up:
        assert tenant(database) == "amber"
        if mode == "session":
            database.give_back()
    Task(be, database, "birch").result()
    failing_once.append(True)
    with pytest.raises(LookupError):
        tenant(database)
    Task(be, database, "birch").result()
    assert tenant(database) == "amber"
    database.give_back()


def test_an_engine_hears_in_a_forked_child_that_its_connection_is_the_parents(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, role_limit=2, settings={"ENGINE": engine_of(UntilClose)})
    database.connection.tenant = "amber"
    assert tenant(database) == "amber"
    assert in_child(lambda: tenant(database)) == "amber"
    assert tenant(database) == "amber"
    database.give_back()


def test_an_engine_may_query_when_it_is_closed(make_database: MakeDatabase) -> None:
    class Resetting(Engine):
        def close(self) -> None:
            if self.connection is not None:
                with self.cursor() as cursor:
                    cursor.execute("RESET app.tenant")
            super().close()

    database = make_database(
        MAX_CONNS=1, POOL_MODE="transaction", SESSION_STATE="ignore", settings={"ENGINE": engine_of(Resetting)}
    )
    database.fetch("set app.tenant = 'amber'")
    assert database.stats().in_use == 0
    assert database.server.query("select 1") == [["1"]]
    assert Task(tenant, database).result() in ("", "None")
    database.give_back()


def test_what_waits_for_the_commit_outlives_a_connection(make_database: MakeDatabase) -> None:
    """Django's ``close`` drops what waits for the commit."""
    database = make_database(MAX_CONNS=1, POOL_MODE="transaction", settings={"ENGINE": engine_of(UntilClose)})
    seen: list[int] = []

    def second() -> None:
        seen.append(2)

    def first() -> None:
        tenant(database)  # Gives the connection back.
        seen.append(1)

    with transaction.atomic(using=database.alias):
        tenant(database)
        transaction.on_commit(first, using=database.alias)
        transaction.on_commit(second, using=database.alias)
    assert seen == [1, 2]


def test_an_engine_may_put_something_of_its_own_around_connections(make_database: MakeDatabase) -> None:
    class Proxy:
        def __init__(self, connection: Any) -> None:
            self.__dict__["inside"] = connection

        def __getattr__(self, name: str) -> Any:
            return getattr(self.__dict__["inside"], name)

        def __setattr__(self, name: str, value: Any) -> None:
            setattr(self.__dict__["inside"], name, value)

    class Proxying(Engine):
        def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
            return Proxy(super().get_new_connection(conn_params))

    database = make_database(MAX_CONNS=1, POOL_MODE="transaction", settings={"ENGINE": engine_of(Proxying)})
    for _ in range(3):
        with database.connection.cursor() as cursor:
            assert isinstance(database.connection.connection, Proxy)
            cursor.execute("select 1")
            assert cursor.fetchone() == (1,)
        with transaction.atomic(using=database.alias):
            assert database.fetch("select 2") == [(2,)]
        assert database.stats().in_use == 0
