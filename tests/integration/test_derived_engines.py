"""Engines derived from ours: each finds in what it overrides what it would find with Django's own engine.

Those here set the session's ``app.tenant`` to the wrapper's ``tenant``, each by another way, and each right with
Django's engine.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from django.db.backends.postgresql import base
from django.db.backends.signals import connection_created
from django.db.backends.utils import CursorWrapper

from django_geventpool.backends.occupancy import OccupancyMixin
from tests.support.database import Database
from tests.support.derived_engines import Base, engine_of
from tests.support.forks import in_child
from tests.support.tasks import Task
from tests.testapp.models import Item

from .conftest import MODES, MakeDatabase


class Engine(Base):  # type: ignore[misc]
    """What they have in common."""

    tenant = "nobody"

    def set_on(self, cursor: Any) -> None:
        cursor.execute("SELECT set_config('app.tenant', %s, false)", [self.tenant])

    def set_on_connection(self, connection: Any) -> None:
        with connection.cursor() as cursor:
            self.set_on(cursor)


class UntilClose(Engine):
    """Remembers that it is set until ``close``, as django-tenants does."""

    is_set = False

    def close(self) -> None:
        self.is_set = False
        super().close()

    def _cursor(self, name: str | None = None) -> Any:
        cursor = super()._cursor(name)
        if not self.is_set:
            self.set_on_connection(self.connection)
            self.is_set = True
        return cursor


class UntilPrivateClose(UntilClose):
    def close(self) -> None:
        Engine.close(self)

    def _close(self) -> None:
        self.is_set = False
        super()._close()


class InCreateCursor(UntilClose):
    def _cursor(self, name: str | None = None) -> Any:
        return Engine._cursor(self, name)

    def create_cursor(self, name: str | None = None) -> Any:
        if not self.is_set:
            self.set_on_connection(self.connection)
            self.is_set = True
        return super().create_cursor(name)


class InCursorAfterEnsureConnection(UntilClose):
    def _cursor(self, name: str | None = None) -> Any:
        self.ensure_connection()
        if not self.is_set:
            self.is_set = True
            with self.cursor() as cursor:
                self.set_on(cursor)
        return Engine._cursor(self, name)


class InState(Engine):
    def init_connection_state(self) -> None:
        super().init_connection_state()
        self.set_on_connection(self.connection)


class InStateThroughDjango(Engine):
    def init_connection_state(self) -> None:
        super().init_connection_state()
        with self.cursor() as cursor:
            self.set_on(cursor)


class InStateAlone(Engine):
    def init_connection_state(self) -> None:
        self.set_on_connection(self.connection)


class InNewConnection(Engine):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        connection = super().get_new_connection(conn_params)
        self.set_on_connection(connection)
        return connection


class InConnect(Engine):
    def connect(self) -> None:
        super().connect()
        with self.cursor() as cursor:
            self.set_on(cursor)


class InEnsureConnection(Engine):
    def ensure_connection(self) -> None:
        is_new = self.connection is None
        super().ensure_connection()
        if is_new:
            with self.cursor() as cursor:
                self.set_on(cursor)


class InConfigure(Engine):
    def _configure_connection(self, connection: Any) -> Any:
        is_changed = super()._configure_connection(connection)
        self.set_on_connection(connection)
        return is_changed


class ByConnection(Engine):
    """Remembers the connection that it has set it on."""

    set_for: Any = None

    def _cursor(self, name: str | None = None) -> Any:
        cursor = super()._cursor(name)
        if not self.is_set():
            self.set_on_connection(self.connection)
            self.remember()
        return cursor

    def is_set(self) -> bool:
        return self.set_for is self.connection

    def remember(self) -> None:
        self.set_for = self.connection


class ByIdentity(ByConnection):
    def is_set(self) -> bool:
        return bool(self.set_for == id(self.connection))

    def remember(self) -> None:
        self.set_for = id(self.connection)


class ByReference(ByConnection):
    def is_set(self) -> bool:
        return self.set_for is not None and self.set_for() is self.connection

    def remember(self) -> None:
        self.set_for = weakref.ref(self.connection)


class BySet(ByConnection):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.set_for = weakref.WeakSet()

    def is_set(self) -> bool:
        return self.connection in self.set_for

    def remember(self) -> None:
        self.set_for.add(self.connection)


class ByTable(ByConnection):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.set_for = {}

    def is_set(self) -> bool:
        return bool(self.set_for.get(id(self.connection)))

    def remember(self) -> None:
        self.set_for[id(self.connection)] = True


class ByAttribute(ByConnection):
    """Remembers it on the driver's connection."""

    def is_set(self) -> bool:
        return getattr(self.connection, "tenant_is_set", False)

    def remember(self) -> None:
        self.connection.tenant_is_set = True


class _Closing:
    """A mixin that has never heard of us."""

    is_set: bool

    def close(self) -> None:
        self.is_set = False
        super().close()  # type: ignore[misc]


class Mixed(_Closing, UntilClose):
    def close(self) -> None:
        _Closing.close(self)


class OnDjangos(base.DatabaseWrapper):
    """On Django's own engine."""

    tenant = "nobody"
    is_set = False

    def close(self) -> None:
        self.is_set = False
        super().close()

    def _cursor(self, name: str | None = None) -> Any:
        cursor = super()._cursor(name)
        if not self.is_set:
            Engine.set_on_connection(self, self.connection)
            self.is_set = True
        return cursor

    def set_on(self, cursor: Any) -> None:
        Engine.set_on(self, cursor)


class Behind(OccupancyMixin, OnDjangos):
    """Has ours before another's that is on Django's."""


ENGINES = [
    UntilClose,
    UntilPrivateClose,
    InCreateCursor,
    InCursorAfterEnsureConnection,
    InState,
    InStateThroughDjango,
    InStateAlone,
    InNewConnection,
    InConnect,
    InEnsureConnection,
    InConfigure,
    ByConnection,
    ByIdentity,
    ByReference,
    BySet,
    ByTable,
    ByAttribute,
    Mixed,
    Behind,
]


def tenant(database: Database) -> str:
    return str(database.fetch("select current_setting('app.tenant', true)")[0][0])


def be(database: Database, name: str) -> None:
    """Work as a tenant, and end."""
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
        # On the server, with a cursor of its own.
        assert list(Item.objects.using(database.alias).filter(pk=0).iterator()) == []
        database.give_back()
    database.assert_whole()


@pytest.fixture
def failing_once() -> Iterator[list[bool]]:
    """While it has something in it, receivers of connection_created use the wrapper and fail."""
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


class Foreign(CursorWrapper):
    """A cursor of an engine's own."""


class Closing(CursorWrapper):
    closed_by = ""

    def close(self) -> None:
        self.closed_by = "its own method"
        self.cursor.close()


class Slotted:
    """One that can't be made to tell of its end."""

    __slots__ = ("cursor",)

    def __init__(self, cursor: Any, _db: Any) -> None:
        self.cursor = cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cursor, name)

    def __enter__(self) -> Slotted:
        return self

    def __exit__(self, *_error: object) -> None:
        self.cursor.close()


@pytest.mark.parametrize("kind", [Foreign, Closing])
def test_an_engines_own_cursor_keeps_the_connection_while_it_is_open(make_database: MakeDatabase, kind: type) -> None:
    class OwnCursors(Base):  # type: ignore[misc]
        def make_cursor(self, cursor: Any) -> Any:
            return kind(cursor, self)

    database = make_database(MAX_CONNS=1, POOL_MODE="transaction", settings={"ENGINE": engine_of(OwnCursors)})
    cursor = database.connection.cursor()
    assert isinstance(cursor, kind)
    cursor.execute("select pg_backend_pid()")
    with transaction.atomic(using=database.alias):
        database.pid()
    assert database.stats().in_use == 1
    assert cursor.fetchone() is not None
    cursor.close()
    assert database.stats().in_use == 0
    assert getattr(cursor, "closed_by", "its own method") == "its own method"
    database.assert_whole()


def test_a_cursor_that_tells_of_nothing_keeps_the_connection_until_close(make_database: MakeDatabase) -> None:
    class SlottedCursors(Base):  # type: ignore[misc]
        def make_cursor(self, cursor: Any) -> Any:
            return Slotted(cursor, self)

    database = make_database(MAX_CONNS=1, POOL_MODE="transaction", settings={"ENGINE": engine_of(SlottedCursors)})
    cursor = database.connection.cursor()
    cursor.execute("select 1")
    cursor.close()
    assert database.stats().in_use == 1
    database.give_back()
    assert database.stats().in_use == 0


def test_an_engine_may_query_when_it_is_closed(make_database: MakeDatabase) -> None:
    class Resetting(Engine):
        def close(self) -> None:
            if self.connection is not None:
                with self.cursor() as cursor:
                    cursor.execute("RESET app.tenant")
            super().close()

    database = make_database(MAX_CONNS=1, POOL_MODE="transaction", settings={"ENGINE": engine_of(Resetting)})
    database.fetch("set app.tenant = 'amber'")
    assert database.stats().in_use == 0
    assert database.server.query("select 1") == [["1"]]
    assert Task(tenant, database).result() in ("", "None")
    database.give_back()


def test_what_waits_for_the_commit_outlives_a_connection(make_database: MakeDatabase) -> None:
    """Django's ``close`` forgets it."""
    database = make_database(MAX_CONNS=1, POOL_MODE="transaction", settings={"ENGINE": engine_of(UntilClose)})
    seen: list[int] = []

    def second() -> None:
        seen.append(2)

    def first() -> None:
        tenant(database)  # Gives a connection back.
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
