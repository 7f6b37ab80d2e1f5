"""Whatever code leaves behind on a connection must not reach the next holder."""

from __future__ import annotations

import pytest
from django.db import InterfaceError

from tests.support.drivers import driver
from tests.support.tasks import Task

from .conftest import MODES, MakeDatabase


@MODES
def test_a_cursor_that_outlives_its_holders_turn_can_not_be_used(make_database: MakeDatabase, mode: str) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode)
    cursor = database.connection.cursor()
    cursor.execute("select 1")
    database.give_back()
    with pytest.raises((InterfaceError, driver.InterfaceError), match=r"cursor (already|is) closed"):
        cursor.execute("select 2")
    assert Task(database.answer, "select 3").result() == [(3,)]
    database.assert_whole()


@MODES
def test_a_connection_that_code_takes_from_its_wrapper_is_not_lost(make_database: MakeDatabase, mode: str) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode, CONN_WAIT_TIMEOUT=5)
    for _ in range(3):
        database.connection.ensure_connection()
        database.connection.connection.close()
        database.connection.connection = None  # Many projects do so after a connection was lost.
    assert database.fetch("select 1") == [(1,)]
    database.connection.ensure_connection()
    database.connection.connection = None
    database.give_back()
    database.assert_whole()
