"""The server ends connections: idle ones, busy ones, and some between two queries."""

from __future__ import annotations

import pytest
from django.db import InterfaceError, OperationalError, transaction

from tests.support.tasks import Task, results
from tests.support.waiting import eventually

from .conftest import MakeDatabase


def test_100_checkouts_after_the_server_dropped_all_idle_connections_see_no_error(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=5)
    database.assert_whole()
    assert database.stats().idle == 5
    assert database.terminate() == 5
    answers = results([Task(database.answer, "select %s::int", number) for number in range(100)])
    assert [rows[0][0] for rows in answers] == list(range(100))
    database.assert_whole()


def test_busy_connections_dropped_by_the_server_raise_operational_error_and_others_go_on(
    make_database: MakeDatabase,
) -> None:
    database = make_database(MAX_CONNS=5)
    busy = [Task(database.answer, "select pg_sleep(600)::text") for _ in range(5)]
    database.await_running("pg_sleep(600)", 5)
    waiting = [Task(database.answer, "select %s::int", number) for number in range(50)]
    eventually(lambda: database.stats().waiting == 50, "all others to wait")
    assert database.terminate() == 5
    for task in busy:
        with pytest.raises(OperationalError):
            task.result()
    assert [rows[0][0] for rows in results(waiting)] == list(range(50))
    database.assert_whole()


def test_one_broken_connection_fails_no_waiting_task(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    pid = database.pid()
    waiting = [Task(database.answer, "select %s::int", number) for number in range(10)]
    eventually(lambda: database.stats().waiting == 10, "all to wait")
    database.terminate(f"pid = {pid}")
    database.give_back()  # Before the pool has heard of the loss.
    assert [rows[0][0] for rows in results(waiting)] == list(range(10))
    database.assert_whole()


def test_a_connection_lost_inside_atomic_raises_operational_error_and_is_replaced(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    with pytest.raises(OperationalError), transaction.atomic(using=database.alias):  # noqa: PT012
        database.terminate(f"pid = {database.pid()}")
        database.fetch("select 1")
    database.give_back()
    assert database.answer("select 7") == [(7,)]
    database.assert_whole()


def test_a_connection_lost_between_two_queries_can_be_given_back(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    database.terminate(f"pid = {database.pid()}")
    with pytest.raises((OperationalError, InterfaceError)):
        database.fetch("select 1")
    database.give_back()
    assert database.answer("select 7") == [(7,)]
    database.assert_whole()


def test_a_query_cancelled_by_the_server_keeps_its_connection(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    pid = database.pid()
    database.fetch("set statement_timeout = '100ms'")
    with pytest.raises(OperationalError, match="statement timeout"):
        database.fetch("select pg_sleep(600)")
    assert database.pid() == pid
    database.give_back()
    database.assert_whole()
