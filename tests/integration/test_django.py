"""Django's features work through the pool."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, transaction
from django.db.backends.postgresql.psycopg_any import IsolationLevel
from django.db.backends.signals import connection_created

from tests.support.tasks import Task
from tests.support.waiting import eventually
from tests.testapp.models import Item

from .conftest import MakeDatabase


@pytest.fixture(autouse=True)
def empty_table(make_database: MakeDatabase, schema: None) -> Iterator[None]:
    yield
    database = make_database()
    database.answer("truncate testapp_item")


def names(alias: str) -> list[str]:
    return list(Item.objects.using(alias).order_by("id").values_list("name", flat=True))


def test_atomic_commits_and_rolls_back(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    items = Item.objects.using(database.alias)
    with transaction.atomic(using=database.alias):
        items.create(name="kept")
    with pytest.raises(LookupError), transaction.atomic(using=database.alias):  # noqa: PT012
        items.create(name="lost")
        raise LookupError
    database.give_back()
    assert names(database.alias) == ["kept"]


def test_savepoints(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    items = Item.objects.using(database.alias)
    with transaction.atomic(using=database.alias):
        items.create(name="outer")
        with pytest.raises(IntegrityError), transaction.atomic(using=database.alias):  # noqa: PT012
            first = items.create(name="inner")
            items.create(pk=first.pk, name="inner")
        with transaction.atomic(using=database.alias):
            items.create(name="second inner")
    database.give_back()
    assert names(database.alias) == ["outer", "second inner"]


def test_on_commit_runs_after_the_commit_and_can_use_the_database(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    seen: list[Any] = []
    with transaction.atomic(using=database.alias):
        Item.objects.using(database.alias).create(name="one")
        transaction.on_commit(lambda: seen.append(names(database.alias)), using=database.alias)
        assert seen == []
    assert seen == [["one"]]
    with pytest.raises(LookupError), transaction.atomic(using=database.alias):  # noqa: PT012
        transaction.on_commit(lambda: seen.append("never"), using=database.alias)
        raise LookupError
    assert seen == [["one"]]


def test_select_for_update_makes_another_wait(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=2)
    items = Item.objects.using(database.alias)
    pk = items.create(name="counter", number=0).pk

    def add_one() -> None:
        with transaction.atomic(using=database.alias):
            item = items.select_for_update().get(pk=pk)
            item.number += 1
            item.save(using=database.alias)
        database.give_back()

    with transaction.atomic(using=database.alias):
        item = items.select_for_update().get(pk=pk)
        other = Task(add_one)
        eventually(lambda: database.sessions("wait_event_type = 'Lock'"), "the other to wait for the row")
        item.number += 10
        item.save(using=database.alias)
    other.result()
    assert items.get(pk=pk).number == 11
    database.give_back()


def test_server_side_cursors(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    items = Item.objects.using(database.alias)
    items.bulk_create(Item(name="many", number=number) for number in range(500))
    iterator = items.order_by("number").iterator(chunk_size=10)
    assert next(iterator).number == 0
    # Half-way through, there is a server-side cursor, even outside a transaction.
    assert database.fetch("select count(*) from pg_cursors where name like '_django_curs_%%'") == [(1,)]
    assert [item.number for item in iterator] == list(range(1, 500))
    database.give_back()
    with transaction.atomic(using=database.alias):
        assert sum(1 for _ in items.iterator(chunk_size=50)) == 500
    database.give_back()
    database.assert_whole()


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_server_side_cursors_left_half_way_are_no_business_of_the_next_holder(
    make_database: MakeDatabase, mode: str
) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode)
    items = Item.objects.using(database.alias)
    items.bulk_create(Item(name="many", number=number) for number in range(100))
    database.give_back()
    left: list[Iterator[Item]] = []

    def read_one() -> int:
        iterator = items.order_by("number").iterator(chunk_size=10)
        number = next(iterator).number
        left.append(iterator)
        database.give_back()
        return number

    assert [Task(read_one).result() for _ in range(3)] == [0, 0, 0]
    assert database.answer("select count(*) from pg_cursors where name like '_django_curs_%%'") == [(0,)]
    with transaction.atomic(using=database.alias):
        assert database.fetch("select 7") == [(7,)]
        left.clear()  # The generators end, and close their cursors.
        assert database.fetch("select 8") == [(8,)], "somebody else has done something to the transaction"
    database.give_back()
    database.assert_whole()


def test_several_aliases_have_pools_of_their_own(make_database: MakeDatabase) -> None:
    first, second = make_database(MAX_CONNS=1), make_database(MAX_CONNS=2)
    with transaction.atomic(using=first.alias), transaction.atomic(using=second.alias):
        Item.objects.using(first.alias).create(name="first")
        Item.objects.using(second.alias).create(name="second")
        assert names(first.alias) == ["first"]
        assert names(second.alias) == ["second"]
    first.give_back()
    assert first.stats().in_use == 0
    assert second.stats().in_use == 1
    second.give_back()
    assert (first.stats().limit, second.stats().limit) == (1, 2)
    assert names(first.alias) == ["first", "second"]


def test_isolation_level_of_the_options(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, isolation_level=IsolationLevel.SERIALIZABLE)
    pids = set()
    for _ in range(2):
        with transaction.atomic(using=database.alias):
            assert database.fetch("show transaction_isolation") == [("serializable",)]
            pids.add(database.pid())
        database.give_back()
    assert len(pids) == 1, "the connection was not reused"


def test_autocommit_false(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, settings={"AUTOCOMMIT": False})
    Item.objects.using(database.alias).create(name="not committed")
    assert database.sessions("state = 'idle in transaction'")
    database.give_back()
    Item.objects.using(database.alias).create(name="committed")
    transaction.commit(using=database.alias)
    database.give_back()
    assert Task(names, database.alias).result() == ["committed"]
    database.assert_whole()


def test_assume_role(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, assume_role="pg_monitor")
    for _ in range(2):
        assert database.answer("select session_user::text, current_user::text") == [(database.role, "pg_monitor")]


def test_connection_created_is_sent_and_its_receiver_may_query(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    aliases: list[str] = []

    def receive(connection: Any, **_kwargs: Any) -> None:
        aliases.append(connection.alias)
        with connection.cursor() as cursor:
            cursor.execute("set application_name = 'received'")

    connection_created.connect(receive)
    try:
        assert Task(database.answer, "show application_name").result() == [("received",)]
    finally:
        connection_created.disconnect(receive)
    assert aliases == [database.alias]


def test_a_receiver_of_connection_created_that_raises_loses_no_slot(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)

    def receive(**_kwargs: Any) -> None:
        raise LookupError("the receiver failed")

    connection_created.connect(receive)
    try:
        with pytest.raises(LookupError):
            database.fetch("select 1")
    finally:
        connection_created.disconnect(receive)
    assert Task(database.answer, "select 7").result() == [(7,)]
    database.assert_whole()


def test_a_json_field_decodes_once(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    Item.objects.using(database.alias).create(name="json", data={"a": ["b", 1]})
    database.give_back()
    assert Task(lambda: Item.objects.using(database.alias).get().data).result() == {"a": ["b", 1]}


def test_an_error_in_a_query_keeps_the_connection(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    pid = database.pid()
    with pytest.raises(DatabaseError):
        database.fetch("select no_such_column")
    assert database.pid() == pid


def test_a_closed_pool_is_replaced_at_the_next_query(make_database: MakeDatabase) -> None:
    from django_geventpool import pools

    database = make_database(MAX_CONNS=1)
    database.answer("select 1")
    pool = pools[database.alias]
    pools.close_all()
    assert pool.closed
    assert database.answer("select 7") == [(7,)]
    assert pools[database.alias] is not pool
    eventually(lambda: database.count() == 1, "the closed pool's connection gone")
