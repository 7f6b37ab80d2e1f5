"""State of the session: what counts as made, and as undone."""

from __future__ import annotations

import pytest
from django.db import transaction

from tests.support.database import Database
from tests.support.session_states import is_held, next_value, value
from tests.support.tasks import Task

from .conftest import MakeDatabase


def test_a_lock_that_another_has_pins_nothing(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=2, POOL_MODE="transaction")

    def try_in_vain() -> bool:
        assert database.fetch("select pg_try_advisory_lock(81001)") == [(False,)]
        return database.stats().in_use == 1  # That of the other one.

    assert database.fetch("select pg_try_advisory_lock(81001)") == [(True,)]
    assert Task(try_in_vain).result()
    assert is_held(database)
    database.fetch("select pg_advisory_lock_shared(81002)")
    database.fetch("select pg_advisory_unlock(81001)")
    assert is_held(database), "there is another lock"
    database.fetch("select pg_advisory_unlock_shared(81002)")
    assert not is_held(database)
    assert database.stats().pinned == {"advisory_lock": 1}


def test_a_lock_that_could_not_be_waited_for_pins_nothing(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=2, POOL_MODE="transaction", options="-c lock_timeout=100")
    database.fetch("select pg_advisory_lock(81003)")

    def wait_in_vain() -> bool:
        with pytest.raises(Exception, match="lock timeout"):
            database.fetch("select pg_advisory_lock(81003)")
        return database.stats().in_use == 1

    assert Task(wait_in_vain).result()


@pytest.mark.parametrize(
    "sql",
    [
        "select 1",
        "set local work_mem = '77MB'",
        "select set_config('work_mem', '77MB', true)",
        "select pg_advisory_xact_lock(81004), pg_try_advisory_xact_lock(81005)",
        "create temp table passing (n int) on commit drop",
        "set transaction isolation level serializable",
        "set constraints all deferred",
        "select '; set work_mem = 1', $$; listen x$$ -- set x = 1",
        "do $$ begin perform 1; end $$",
        "create table if not exists testapp_passing (n int); drop table testapp_passing",
        "discard all",
        "deallocate all",
        "unlisten *",
    ],
)
def test_what_leaves_nothing_pins_nothing(make_database: MakeDatabase, sql: str) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE="transaction", SESSION_STATE="raise")
    if sql != "discard all":
        with transaction.atomic(using=database.alias):
            database.fetch(sql)
        assert not is_held(database)
    database.fetch(sql)
    assert not is_held(database)
    assert database.stats().pinned == {}


def undo_in_vain(database: Database, sql: str) -> None:
    """Run SQL in an atomic block that fails."""

    def fail() -> None:
        with transaction.atomic(using=database.alias):
            database.fetch(sql)
            raise LookupError

    with pytest.raises(LookupError):
        fail()


def test_what_is_undone_in_a_transaction_is_undone_once_that_is_committed(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE="transaction")
    database.fetch("set work_mem = '77MB'")
    undo_in_vain(database, "reset work_mem")
    assert is_held(database)
    assert value(database, "show work_mem") == "77MB"
    with transaction.atomic(using=database.alias):
        undo_in_vain(database, "reset work_mem")
        assert value(database, "show work_mem") == "77MB"
    assert is_held(database)
    with transaction.atomic(using=database.alias):
        database.fetch("reset work_mem")
        database.fetch("set work_mem = '78MB'")
    assert is_held(database)
    with transaction.atomic(using=database.alias):
        database.fetch("reset work_mem")
    assert not is_held(database)


def test_the_commit_of_a_failed_transaction_undoes_nothing(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE="transaction")
    database.fetch("set work_mem = '77MB'")
    transaction.set_autocommit(False, using=database.alias)
    database.fetch("reset work_mem")
    with pytest.raises(Exception, match="division by zero"):
        database.fetch("select 1 / 0")
    transaction.commit(using=database.alias)
    assert value(database, "show work_mem") == "77MB"
    transaction.rollback(using=database.alias)
    assert is_held(database)
    transaction.set_autocommit(True, using=database.alias)
    database.fetch("reset work_mem")
    assert not is_held(database)


def test_locks_are_asked_for_in_no_transaction(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE="transaction")
    transaction.set_autocommit(False, using=database.alias)
    database.fetch("select pg_try_advisory_lock(81006)")
    transaction.commit(using=database.alias)
    assert is_held(database)
    assert database.sessions("state LIKE 'idle in transaction%'") == []
    with pytest.raises(Exception, match="division by zero"):
        database.fetch("select pg_advisory_unlock(81006), 1 / 0")
    transaction.rollback(using=database.alias)
    transaction.set_autocommit(True, using=database.alias)
    database.fetch("select pg_advisory_unlock_all()")
    assert not is_held(database)


@pytest.mark.parametrize(
    ("name", "other"), [("statement_timeout", "'77s'"), ("search_path", "public"), ("DateStyle", "German, DMY")]
)
def test_a_setting_that_is_set_back_by_value_pins_no_longer(make_database: MakeDatabase, name: str, other: str) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE="transaction")
    before = value(database, f"show {name}")
    database.fetch(f"set {name} = {other}")
    assert is_held(database)
    database.fetch(f"set {name} = {other}")
    assert is_held(database)
    database.fetch(f"set {name} = {before}")
    assert not is_held(database)
    assert value(database, f"show {name}") == before
    assert database.stats().pinned == {"setting": 1}


def test_a_setting_whose_transaction_is_rolled_back_pins_no_longer(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE="transaction")
    undo_in_vain(database, "set work_mem = '77MB'")
    assert not is_held(database)
    database.fetch("set work_mem = '77MB'")
    undo_in_vain(database, "set work_mem = '78MB'")
    assert is_held(database)
    assert value(database, "show work_mem") == "77MB"
    undo_in_vain(database, "set app.who = 'x'")
    database.fetch("reset work_mem")
    assert is_held(database), "the server lists no settings of others"


def test_several_statements_in_one_text(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE="transaction")
    database.fetch("set work_mem = '77MB'; listen door; reset work_mem")
    assert is_held(database)
    database.fetch("unlisten door; set work_mem = '77MB'")
    assert is_held(database)
    database.fetch("reset all")
    assert not is_held(database)
    database.fetch("set work_mem = '77MB'; create temp table x (); select pg_advisory_lock(81007)")
    database.fetch("discard all")
    assert not is_held(database)


@pytest.mark.driver("psycopg")
def test_what_a_pipeline_does_is_taken_as_done(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE="transaction")
    with transaction.atomic(using=database.alias):
        raw = database.connection.connection
        if raw is None:
            database.pid()
            raw = database.connection.connection
        with raw.pipeline():
            raw.execute("set work_mem = '77MB'")
            raw.execute("select pg_try_advisory_lock(81009)")
    assert is_held(database)
    assert value(database, "show work_mem") == "77MB"
    database.give_back()
    assert next_value(database, "show work_mem") != "77MB"
    database.assert_whole()
