"""LEAK_WARNING_AFTER: connections that are held for too long are reported."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import transaction

from django_geventpool.pool import holder
from django_geventpool.utils import pinned
from tests.support.tasks import Task
from tests.support.waiting import eventually
from tests.testapp.models import Item

from .conftest import MODES, MakeDatabase

#: First uses of the database by users' code, which then holds the connection.
WAYS_TO_TAKE: dict[str, Callable[[Any], object]] = {
    "count": lambda items: items.count(),
    "first": lambda items: items.first(),
    "exists": lambda items: items.filter(number=7).exists(),
    "create": lambda items: items.create(name="taken by create"),
    "save": lambda items: Item(name="taken by save").save(using=items.db),
    "get_or_create": lambda items: items.get_or_create(name="taken by get_or_create"),
    "bulk_create": lambda items: items.bulk_create([Item(name="taken by bulk_create")]),
    "iterator": lambda items: next(items.iterator()),
    "evaluation": lambda items: list(items.all()),
    "refresh": lambda items: Item(pk=items.model.pk_of_one).refresh_from_db(using=items.db),
}


def warnings_of(caplog: pytest.LogCaptureFixture, alias: str) -> list[str]:
    messages = [record.getMessage() for record in caplog.records]
    return [message for message in messages if alias in message and "LEAK_WARNING_AFTER" in message]


def test_a_long_held_connection_is_reported_once_with_its_task_and_where_it_was_taken(
    make_database: MakeDatabase, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holder, "describe", lambda: "task shop.pay[4711]")
    database = make_database(MAX_CONNS=2, LEAK_WARNING_AFTER=0.2)

    def take_it_here() -> None:
        database.fetch("select 1")

    take_it_here()
    (warning,) = eventually(lambda: warnings_of(caplog, database.alias), "a warning with no traffic")
    assert "task shop.pay[4711]" in warning
    assert "0.2 s" in warning
    assert "take_it_here" in warning
    # A second holder is reported; by then the first one would have been reported again.
    Task(database.fetch, "select pg_sleep(1)").result()
    assert len(warnings_of(caplog, database.alias)) == 2
    database.give_back()


def test_a_connection_given_back_in_time_and_one_without_the_option_are_not_reported(
    make_database: MakeDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    silent = make_database(MAX_CONNS=1)
    quick = make_database(MAX_CONNS=1, LEAK_WARNING_AFTER=1)
    slow = make_database(MAX_CONNS=1, LEAK_WARNING_AFTER=1)
    silent.fetch("select 1")
    for _ in range(20):
        quick.answer("select 1")
    slow.fetch("select 1")
    eventually(lambda: warnings_of(caplog, slow.alias), "the warning of the slow one")
    assert warnings_of(caplog, quick.alias) == []
    assert warnings_of(caplog, silent.alias) == []


@pytest.fixture
def one_item(make_database: MakeDatabase, schema: None) -> Iterator[None]:
    """Insert an item for queries to find."""
    database = make_database()
    Item.pk_of_one = Item.objects.using(database.alias).create(name="the one").pk  # type: ignore[attr-defined]
    database.give_back()
    yield
    del Item.pk_of_one  # type: ignore[attr-defined]


@MODES
@pytest.mark.parametrize("way", WAYS_TO_TAKE)
def test_the_line_that_took_it_is_a_users_whatever_django_does_in_between(
    make_database: MakeDatabase, caplog: pytest.LogCaptureFixture, one_item: None, way: str, mode: str
) -> None:
    database = make_database(MAX_CONNS=1, LEAK_WARNING_AFTER=0.1, POOL_MODE=mode)

    def caller_of_the_users() -> object:
        with pinned(database.alias):
            kept = WAYS_TO_TAKE[way](Item.objects.using(database.alias))
            eventually(lambda: warnings_of(caplog, database.alias), "a warning")
        return kept

    Task(lambda: (caller_of_the_users(), database.give_back())).result()
    (warning,) = warnings_of(caplog, database.alias)
    frames = re.findall(r'File "(.*)", line \d+, in (\S+)\n *(.*)', warning)
    # The innermost frame is the last. Its callers are shown too, but no frames of Django, the pool or a driver.
    assert frames[-1][0].endswith("test_leak_warning.py")
    assert frames[-1][2].startswith(f'"{way}": ')
    assert frames[-2][1:] == ("caller_of_the_users", "kept = WAYS_TO_TAKE[way](Item.objects.using(database.alias))")
    assert not [
        file for file, *_ in frames if re.search(r"/(django|django_geventpool|psycopg2?|gevent|eventlet)/", file)
    ]


@MODES
def test_the_line_that_took_it_is_that_of_an_atomic_block(
    make_database: MakeDatabase, caplog: pytest.LogCaptureFixture, mode: str
) -> None:
    database = make_database(MAX_CONNS=1, LEAK_WARNING_AFTER=0.1, POOL_MODE=mode)

    def hold() -> None:
        with transaction.atomic(using=database.alias):
            eventually(lambda: warnings_of(caplog, database.alias), "a warning")

    Task(lambda: (hold(), database.give_back())).result()
    (warning,) = warnings_of(caplog, database.alias)
    assert warning.splitlines()[-2].endswith("in hold")
    assert "with transaction.atomic(using=database.alias):" in warning
