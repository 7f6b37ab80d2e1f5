"""The counter of cancelled queries: it counts interrupted queries, and no other ends of connections."""

from __future__ import annotations

import pytest
from django.db import DatabaseError

from tests.support.tasks import Task
from tests.support.waiting import eventually

from .conftest import MODES, MakeDatabase


@MODES
def test_a_connect_that_a_full_server_refuses_is_none(make_database: MakeDatabase, mode: str) -> None:
    database = make_database(MAX_CONNS=2, role_limit=1, POOL_MODE=mode, CONN_WAIT_TIMEOUT=60)
    database.connection.ensure_connection()
    waiter = Task(database.answer, "select 7")
    eventually(lambda: database.stats().failed_connects > 0, "a refusal")
    database.give_back()
    assert waiter.result() == [(7,)]
    eventually(lambda: database.stats().closing == 0, "nothing being closed")
    assert database.stats().cancelled == 0


@MODES
def test_a_query_whose_connection_the_server_ends_is_none(make_database: MakeDatabase, mode: str) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode)
    task = Task(database.answer, "select pg_sleep(600)")
    database.await_running("pg_sleep(600)")
    database.terminate()
    with pytest.raises(DatabaseError):
        task.result()
    eventually(lambda: database.stats().closing == 0, "nothing being closed")
    assert database.stats().cancelled == 0
    assert database.stats().closed["broken"] == 1
    database.assert_whole()
