"""Greenlets and threads that end while they hold a connection."""

from __future__ import annotations

import threading

import pytest
from django.db import transaction

from django_geventpool.pool import holder
from tests.support.tasks import Task, results
from tests.support.waiting import eventually
from tests.testapp.models import Item

from .conftest import MakeDatabase


@pytest.fixture(autouse=True)
def named_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell the pool which task asks, as the worker side does."""
    monkeypatch.setattr(holder, "describe", lambda: "task shop.pay[4711]")


def reclaim_warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "ended without giving" in record.getMessage()]


def test_a_connection_is_reclaimed_when_its_holder_returns_and_the_task_is_named(
    make_database: MakeDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    database = make_database(MAX_CONNS=1)
    assert Task(database.fetch, "select 1").result() == [(1,)]
    assert database.answer("select 7") == [(7,)]
    eventually(lambda: database.stats().reclaimed == 1, "the connection counted as reclaimed")
    (warning,) = eventually(lambda: reclaim_warnings(caplog), "a warning")
    assert "task shop.pay[4711]" in warning
    assert database.alias in warning
    assert "close_connection" in warning
    database.assert_whole()


def test_a_connection_is_reclaimed_when_its_holder_raises(
    make_database: MakeDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    database = make_database(MAX_CONNS=1)

    def run() -> None:
        database.fetch("select 1")
        raise LookupError("the task failed")

    with pytest.raises(LookupError):
        Task(run).result()
    assert database.answer("select 7") == [(7,)]
    eventually(lambda: reclaim_warnings(caplog), "a warning")
    database.assert_whole()


def test_an_abandoned_transaction_is_rolled_back(make_database: MakeDatabase, schema: None) -> None:
    database = make_database(MAX_CONNS=1)

    def run() -> None:
        atomic = transaction.atomic(using=database.alias)
        atomic.__enter__()
        Item.objects.using(database.alias).create(name="abandoned")

    Task(run).result()
    assert database.answer("select count(*) from testapp_item where name = 'abandoned'") == [(0,)]
    assert database.sessions("state LIKE 'idle in transaction%'") == []
    database.assert_whole()


def test_waiting_tasks_get_on_when_holders_end_without_giving_back(
    make_database: MakeDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    database = make_database(MAX_CONNS=2, CONN_WAIT_TIMEOUT=60)
    answers = results([Task(database.fetch, "select %s::int", number) for number in range(50)])
    assert [rows[0][0] for rows in answers] == list(range(50))
    database.assert_whole()
    assert database.stats().reclaimed == 50
    # Of holders of one kind, one is named at once; the others are counted, and reported a minute later.
    assert len(eventually(lambda: reclaim_warnings(caplog), "a warning")) == 1


def test_no_warning_for_connections_that_were_given_back(
    make_database: MakeDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    database = make_database(MAX_CONNS=2, CONN_WAIT_TIMEOUT=60)
    results([Task(database.answer, "select 1") for _ in range(50)])
    database.assert_whole()
    # The housekeeper has worked since then, and would have reported a real leak.
    Task(database.fetch, "select 1").result()
    eventually(lambda: reclaim_warnings(caplog), "the warning of the one leak")
    assert len(reclaim_warnings(caplog)) == 1
    assert database.stats().reclaimed == 1


def test_a_holder_that_lives_on_keeps_its_connection(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    told = threading.Event()

    def hold() -> tuple[int, int]:
        first = database.pid()
        told.wait()
        try:
            return first, database.pid()
        finally:
            database.give_back()

    task = Task(hold)
    eventually(lambda: database.stats().in_use == 1, "the connection taken")
    other = make_database(MAX_CONNS=1)
    Task(other.fetch, "select 1").result()
    eventually(lambda: other.stats().reclaimed == 1, "another pool's connection reclaimed")
    told.set()
    first, second = task.result()
    assert first == second
    assert database.stats().reclaimed == 0
