"""Django's wrappers, one for each greenlet or thread."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import InterfaceError, connections, transaction
from django.db.backends.postgresql import base
from django.db.backends.postgresql.features import DatabaseFeatures
from django.db.backends.postgresql.operations import DatabaseOperations

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
    """None is left to the garbage collection, but those that an error refers to."""
    database = make_database(POOL_MODE=mode)
    database.answer("select 1")  # The pool keeps the wrapper that it was made for.

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
    assert database.connection  # eventlet's locals keep what they have of the greenlet that used them last.
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
        operations.connection  # noqa: B018  it is a property


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
