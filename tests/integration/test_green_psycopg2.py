"""psycopg2 becomes green by itself, and connections that aren't a pool's go on working."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable
from typing import Any

import psycopg2
import pytest
from psycopg2 import extensions

from django_geventpool import patch_psycopg
from tests.support.programs import output_of, start_program
from tests.support.tasks import FRAMEWORK, Interruption, Task
from tests.support.waiting import eventually

from .conftest import MakeDatabase

pytestmark = [pytest.mark.frameworks("gevent", "eventlet"), pytest.mark.driver("psycopg2")]


def test_psycopg2_becomes_green_without_a_call_and_the_log_says_so_once(make_database: MakeDatabase) -> None:
    other = {"gevent": "eventlet", "eventlet": "gevent"}[FRAMEWORK]  # Installed, but not active.
    process = start_program("ask_with_log", make_database(MAX_CONNS=5, role_limit=5).settings, other)
    output = output_of(process)
    assert process.returncode == 0, output
    assert "green: True" in output
    assert output.count(f"psycopg2 is green now, under {FRAMEWORK}") == 1


def test_patch_psycopg_may_be_called_again_and_again() -> None:
    assert patch_psycopg()
    callback = extensions.get_wait_callback()
    assert callback is not None
    assert patch_psycopg()
    assert extensions.get_wait_callback() is callback


def test_a_plain_psycopg2_connection_works_and_does_not_block_others(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    database.answer("select 1")

    def ask_plainly(sql: str) -> object:
        # If it blocked all greenlets, none could end its wait for the lock.
        connection = psycopg2.connect(**database.server.dsn, options="-c lock_timeout=10s")
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone()

    assert ask_plainly("select 7") == (7,)
    sql = "select 8, pg_advisory_lock(8)::text"
    with contextlib.closing(psycopg2.connect(**database.server.dsn)) as holder:
        holder.cursor().execute("select pg_advisory_lock(8)")
        slow = Task(ask_plainly, sql)
        eventually(
            lambda: slow.ended or database.server.query(f"select 1 from pg_stat_activity where query = '{sql}'"),
            "the plain connection's query",
        )
        assert not slow.ended, "the hub was blocked"
        assert database.answer("select 9") == [(9,)]
        assert not slow.ended
    assert slow.result() == (8, "")


@pytest.mark.parametrize("how", ["kill", "timeout"])
def test_psycogreen_called_by_the_user_makes_no_difference(make_database: MakeDatabase, how: Interruption) -> None:
    importlib.import_module(f"psycogreen.{FRAMEWORK}").patch_psycopg()
    database = make_database(MAX_CONNS=1, options="-c client_connection_check_interval=0")
    victim = Task(database.fetch, "select pg_sleep(600)")
    database.await_running("pg_sleep(600)")
    victim.interrupt(how)
    eventually(lambda: not database.running("pg_sleep(600)"), "the query gone from the server", 5)
    database.assert_whole()


@pytest.mark.parametrize(
    "ask",
    [lambda raw: raw.commit(), lambda raw: raw.rollback(), lambda raw: setattr(raw, "autocommit", True)],
    ids=["commit", "rollback", "autocommit"],
)
def test_who_asks_for_a_transactions_end_in_another_greenlets_query_does_not_block_them_all(
    make_database: MakeDatabase, ask: Callable[[Any], None]
) -> None:
    database = make_database(MAX_CONNS=1)
    database.connection.ensure_connection()
    raw = database.connection.connection

    def sleep_on_server() -> None:
        with raw.cursor() as cursor:
            cursor.execute("select pg_sleep(600)")

    user = Task(sleep_on_server)
    database.await_running("pg_sleep(600)")
    with pytest.raises(psycopg2.ProgrammingError, match="another greenlet"):
        ask(raw)
    assert not user.ended
    database.give_back()
    user.wait(10)
    assert isinstance(user.error, psycopg2.OperationalError)
    database.assert_whole()
