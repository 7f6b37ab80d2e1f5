"""A greenlet that is interrupted inside ``atomic`` ends without asking for another connection."""

from __future__ import annotations

import threading

import pytest
from django.db import transaction
from django.db.models import QuerySet

from tests.support.database import Database
from tests.support.tasks import Interruption, Task, is_interruption
from tests.support.waiting import DEADLINE
from tests.testapp.models import Item

from .conftest import MakeDatabase

pytestmark = pytest.mark.frameworks("gevent", "eventlet")


@pytest.mark.parametrize("mode", ["session", "transaction"])
@pytest.mark.parametrize("how", ["kill", "timeout"])
def test_it_does_not_wait_for_another_connection(make_database: MakeDatabase, mode: str, how: Interruption) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode, CONN_WAIT_TIMEOUT=DEADLINE)
    victim = Task(_sleep_in_atomic, database)
    database.await_running("pg_sleep(600)")
    release = threading.Event()
    # This waiter gets the victim's slot, and keeps it: a victim that asked for a connection again would never end.
    successor = Task(_hold, database, release)
    victim.interrupt(how)
    victim.wait()
    assert is_interruption(victim.error), repr(victim.error)
    release.set()
    successor.result()
    database.assert_whole()


@pytest.mark.parametrize("mode", ["session", "transaction"])
@pytest.mark.parametrize("how", ["kill", "timeout"])
def test_out_of_a_server_side_cursor_comes_what_interrupted_it(
    make_database: MakeDatabase, schema: None, mode: str, how: Interruption
) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode)
    items = Item.objects.using(database.alias)
    items.bulk_create(Item(name="slow", number=number) for number in range(10))
    database.give_back()
    slow = items.filter(name="slow").extra(select={"slept": "pg_sleep(600 * (number / 9))::text"}).order_by("number")
    victim = Task(_read_to_the_end, database, slow)
    database.await_running("FETCH")
    victim.interrupt(how)
    victim.wait()
    assert is_interruption(victim.error), repr(victim.error)
    items.filter(name="slow").delete()
    database.give_back()
    database.assert_whole()


def _read_to_the_end(database: Database, rows: QuerySet[Item]) -> None:
    try:
        with transaction.atomic(using=database.alias):
            for _ in rows.iterator(chunk_size=2):
                pass
    finally:
        database.give_back()


def _sleep_in_atomic(database: Database) -> None:
    try:
        with transaction.atomic(using=database.alias):
            database.fetch("select pg_sleep(600)")
    finally:
        database.give_back()


def _hold(database: Database, release: threading.Event) -> None:
    try:
        with transaction.atomic(using=database.alias):
            database.fetch("select 1")
            assert release.wait(DEADLINE)
    finally:
        database.give_back()
