"""State of the session never reaches the next holder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.database import Database
from tests.support.session_states import KINDS, LOCKS, is_held, next_value, state, value
from tests.support.tasks import Task

from .conftest import MODES, MakeDatabase


@MODES
@KINDS
def test_the_next_holder_gets_a_clean_session(make_database: MakeDatabase, mode: str, name: str) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode)
    made, _, look, with_it, without = state(name)
    pid = database.pid()
    database.fetch(made)
    assert value(database, look) == with_it
    database.give_back()
    assert next_value(database, look) == without
    assert next_value(database, "select pg_backend_pid()") == pid, "the connection was thrown away"


def change(database: Database, function: str, body: str) -> Callable[[], None]:
    """Make a function on the server; return what removes it."""
    name = f"{function}_{database.role}"
    database.server.query(f"CREATE FUNCTION {name}() RETURNS void LANGUAGE plpgsql AS $f$ BEGIN {body} END $f$")
    return lambda: database.server.query(f"DROP FUNCTION {name}()") and None


@MODES
def test_what_a_function_does_is_noticed_where_the_server_reports_it(make_database: MakeDatabase, mode: str) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode)
    remove = change(database, "be_read_only", "PERFORM set_config('default_transaction_read_only', 'on', false);")
    try:
        database.fetch(f"select be_read_only_{database.role}()")
        assert is_held(database)
        assert value(database, "show default_transaction_read_only") == "on"
        assert database.stats().pinned == ({"setting": 1} if mode == "transaction" else {})
        database.give_back()
        assert next_value(database, "show default_transaction_read_only") == "off"
    finally:
        remove()


@pytest.mark.parametrize("discard", [True, False, "dirty"])
def test_who_clears_sessions(make_database: MakeDatabase, discard: bool | str) -> None:
    database = make_database(MAX_CONNS=1, ON_RELEASE_DISCARD_ALL=discard)
    database.fetch("create temp table kept ()")
    database.give_back()
    assert next_value(database, "select to_regclass('pg_temp.kept')::text") == (None if discard else "kept")
    database.fetch("discard all")


def test_a_connection_that_is_lost_is_not_kept(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE="transaction")
    database.fetch("select pg_advisory_lock(81008)")
    assert is_held(database)
    assert database.terminate() == 1
    with pytest.raises(Exception, match=r"terminat|closed|lost"):
        database.fetch("select 1")
    assert not is_held(database)
    assert value(database, LOCKS) == 0
    database.assert_whole()


@pytest.mark.frameworks("gevent", "eventlet")
@MODES
@pytest.mark.parametrize("how", ["kill", "timeout"])
def test_a_task_that_is_killed_leaves_nothing(make_database: MakeDatabase, mode: str, how: Any) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode, CONN_WAIT_TIMEOUT=60)

    def keep_and_wait() -> None:
        try:
            database.fetch("select pg_advisory_lock(81010)")
            database.fetch("set work_mem = '77MB'")
            database.fetch("select pg_sleep(60)")
        finally:
            database.give_back()

    task = Task(keep_and_wait)
    database.await_running("pg_sleep")
    task.interrupt(how)
    assert next_value(database, "show work_mem") != "77MB"
    assert next_value(database, "select count(*) from pg_locks where locktype = 'advisory' and objid = 81010") == 0
    database.assert_whole()
