"""Django's wrappers, one for each greenlet or thread."""

from __future__ import annotations

import asyncio
import functools
import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import InterfaceError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql import base
from django.db.backends.postgresql.features import DatabaseFeatures
from django.db.backends.postgresql.operations import DatabaseOperations

from django_geventpool import pools
from django_geventpool.errors import InvalidOption
from tests.support.tasks import Task
from tests.support.waiting import eventually
from tests.testapp.models import Item

from .conftest import MODES, MakeDatabase


@pytest.fixture
def _no_collections() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@MODES
@pytest.mark.usefixtures("schema", "_no_collections")
def test_a_wrapper_goes_with_its_greenlet_or_thread(make_database: MakeDatabase, mode: str) -> None:
    """No wrapper waits for a garbage collection, except those that an error refers to."""
    database = make_database(POOL_MODE=mode)
    database.answer("select 1")  # The pool keeps the wrapper that it was made with.

    def use() -> weakref.ref[Any]:
        alias = database.alias
        items = Item.objects.using(alias)
        with transaction.atomic(using=alias):
            item = items.create(name="wrapper", number=1)
            transaction.on_commit(lambda: None, using=alias)
        assert [other.pk for other in items.filter(pk=item.pk).iterator()] == [item.pk]
        item.delete()
        database.give_back()
        return weakref.ref(connections[alias])

    reference = Task(use).result()
    assert database.connection  # eventlet's locals keep the values of the greenlet that last used them.
    eventually(lambda: reference() is None, "the end of the wrapper")


def test_a_part_is_of_djangos_class_and_knows_its_wrapper(make_database: MakeDatabase) -> None:
    wrapper = make_database().connection
    assert wrapper.ops.connection is wrapper
    assert isinstance(wrapper.ops, DatabaseOperations)
    assert isinstance(wrapper.features, DatabaseFeatures)
    assert type(wrapper.features).__name__ == "DatabaseFeatures"


def test_a_part_says_what_has_happened_to_its_wrapper(make_database: MakeDatabase) -> None:
    operations = connections.create_connection(make_database().alias).ops
    with pytest.raises(ReferenceError, match=r"The connection of this DatabaseOperations is gone: use those of"):
        operations.connection  # noqa: B018  reading the property is tested


@MODES
def test_whoever_has_put_himself_around_djangos_way_to_a_connection_is_asked(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode)
    take = base.DatabaseWrapper.get_new_connection
    asked: list[str] = []

    def take_noisily(self: Any, parameters: dict[str, Any]) -> Any:
        asked.append(self.alias)
        return take(self, parameters)

    monkeypatch.setattr(base.DatabaseWrapper, "get_new_connection", take_noisily)
    assert Task(database.answer, "select 1").result() == [(1,)]
    assert asked == [database.alias]


class Proxy:
    """A proxy of a function, as tracers use it: it has all of the function's attributes, and is bound as a method."""

    def __init__(self, wrapped: Any, calls: list[str]) -> None:
        self.__wrapped__ = wrapped
        self.calls = calls

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__wrapped__, name)

    def __get__(self, instance: object, owner: type) -> Proxy:
        return Proxy(self.__wrapped__.__get__(instance, owner), self.calls)

    def __call__(self, *args: Any) -> Any:
        self.calls.append(self.__wrapped__.__name__)
        return self.__wrapped__(*args)


def _decorated(wrapped: Any, calls: list[str]) -> Any:
    @functools.wraps(wrapped)
    def noting(*args: Any) -> Any:
        calls.append(wrapped.__name__)
        return wrapped(*args)

    return noting


@pytest.mark.parametrize("put_around", [Proxy, _decorated])
@pytest.mark.parametrize(
    ("owner", "name"), [(base.DatabaseWrapper, "get_new_connection"), (BaseDatabaseWrapper, "close")]
)
def test_what_others_put_around_djangos_methods_is_called(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch, put_around: Any, owner: type, name: str
) -> None:
    """Even if it passes for the wrapped function, and while an event loop runs, which Django's guard checks."""
    database = make_database(MAX_CONNS=1)
    database.pid()
    database.give_back()
    calls: list[str] = []
    monkeypatch.setattr(owner, name, put_around(getattr(owner, name), calls))
    database.pid()
    database.give_back()
    assert calls == [name]
    database.pid()

    wrapper = database.connection

    async def close_in_loop() -> None:
        wrapper.close()

    asyncio.run(close_in_loop())
    assert calls[1:] == [name]
    database.assert_whole()


def test_options_that_are_changed_in_place_are_read_again(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    database.answer("select 1")
    given = database.connection.settings_dict["OPTIONS"]
    given["MAX_CONNS"] = 2
    pools.close(database.alias)
    database.answer("select 1")
    assert database.stats().limit == 2
    given["MAX_CONNS"] = 0
    pools.close(database.alias)
    with pytest.raises(InvalidOption, match="MAX_CONNS"):
        database.answer("select 1")
    given["MAX_CONNS"] = 1


@MODES
def test_a_copy_that_is_told_to_use_no_pool_uses_none(make_database: MakeDatabase, mode: str) -> None:
    database = make_database(MAX_CONNS=2, POOL_MODE=mode)
    database.connection.ensure_connection()
    copied = connections[database.alias].copy()
    copied.settings_dict["OPTIONS"]["pool"] = False
    with copied.cursor() as cursor:
        cursor.execute("select pg_backend_pid()")
        assert cursor.fetchone() != (database.pid(),)
    assert copied.pool is None
    copied.close()
    database.give_back()


@MODES
def test_a_method_of_a_cursor_raises_djangos_errors_though_its_wrapper_is_kept_by_nobody_else(
    make_database: MakeDatabase, mode: str
) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode)

    copied = connections[database.alias].copy()
    with copied.cursor() as cursor:
        fetchone = cursor.fetchone
    copied.close()
    del copied, cursor
    gc.collect()
    with pytest.raises(InterfaceError):
        fetchone()
