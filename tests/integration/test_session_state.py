"""State of the session: what it does to its connection (SESSION_STATE), and that it never reaches the next holder."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.db import ProgrammingError, transaction
from django.db.backends.signals import connection_created

from django_geventpool.errors import SessionStateError
from django_geventpool.utils import pinned
from tests.support.database import Database
from tests.support.derived_engines import Base, engine_of
from tests.support.drivers import DRIVER, driver
from tests.support.tasks import Task
from tests.support.waiting import eventually

from .conftest import MODES, MakeDatabase

LOCKS = "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()"
#: By kind: what makes it, what undoes it, and what the server says of it with it and without it.
STATES: dict[str, tuple[str, str, str, Any, Any]] = {
    "setting": (
        "SET statement_timeout = '77s'",
        "RESET statement_timeout",
        "select setting from pg_settings where name = 'statement_timeout'",
        "77000",
        "0",
    ),
    "setting by a function": (
        "select set_config('statement_timeout', '77s', false)",
        "set statement_timeout to default",
        "select current_setting('statement_timeout')",
        "77s",
        "0",
    ),
    "listen": ('LISTEN "Door"', 'UNLISTEN "Door"', "select count(*) from pg_listening_channels()", 1, 0),
    "listen to all": ("listen a; listen b", "unlisten *", "select count(*) from pg_listening_channels()", 2, 0),
    "advisory_lock": ("select pg_advisory_lock(%d)", "select pg_advisory_unlock(%d)", LOCKS, 1, 0),
    "advisory_lock that is tried": (
        "select pg_try_advisory_lock_shared(%d)",
        "select pg_advisory_unlock_all()",
        LOCKS,
        1,
        0,
    ),
    "temporary_table": (
        "CREATE TEMP TABLE kept (n int)",
        "DROP TABLE kept",
        "select to_regclass('pg_temp.kept')::text",
        "kept",
        None,
    ),
    "prepared_statement": (
        "PREPARE one AS SELECT 1",
        "DEALLOCATE one",
        "select count(*) from pg_prepared_statements where name = 'one'",
        1,
        0,
    ),
    "cursor_with_hold": (
        "DECLARE kept CURSOR WITH HOLD FOR SELECT 1",
        "CLOSE kept",
        "select count(*) from pg_cursors where name = 'kept'",
        1,
        0,
    ),
}
KINDS = pytest.mark.parametrize("name", STATES)


def state(name: str) -> tuple[str, str, str, Any, Any]:
    """Return the entry of STATES, with advisory locks of its own, as the server is shared."""
    number = abs(hash(name)) % 1_000_000
    made, undone, look, with_it, without = STATES[name]
    return made.replace("%d", str(number)), undone.replace("%d", str(number)), look, with_it, without


def is_held(database: Database) -> bool:
    return database.stats().in_use == 1


def value(database: Database, sql: str) -> Any:
    return database.fetch(sql)[0][0]


def next_value(database: Database, sql: str) -> Any:
    """Return the answer that another greenlet or thread gets."""
    return Task(database.answer, sql).result()[0][0]


@KINDS
def test_a_connection_stays_until_its_state_is_undone(make_database: MakeDatabase, name: str) -> None:
    database = make_database(MAX_CONNS=2, POOL_MODE="transaction")
    made, undone, look, with_it, without = state(name)
    database.fetch(made)
    assert is_held(database)
    pid = database.pid()
    with transaction.atomic(using=database.alias):
        assert value(database, look) == with_it
    assert value(database, look) == with_it
    assert database.pid() == pid
    assert next_value(database, look) == without
    database.fetch(undone)
    assert not is_held(database)
    assert database.stats().pinned == {name.split()[0]: 1}
    assert next_value(database, look) == without


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


@KINDS
def test_warn_says_what_would_stay_and_gives_back(
    make_database: MakeDatabase, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE="transaction", SESSION_STATE="warn")
    made, _, look, _, without = state(name)
    for _ in range(2):
        with database.connection.cursor() as cursor:
            cursor.execute(made)
        assert not is_held(database)
    assert value(database, look) == without
    kind = name.split()[0]
    messages = told(caplog, 1)
    assert f"({kind})" in messages[0]
    assert f"{__file__}:" in messages[0]
    assert made not in messages[0]
    assert database.stats().pinned == {}


def told(caplog: pytest.LogCaptureFixture, count: int) -> list[str]:
    """Return what the logger of sessions has said, which comes from another greenlet or thread."""

    def messages() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.name == "geventpool.session"]

    eventually(lambda: len(messages()) >= count, f"{count} messages")
    assert len(messages()) == count
    assert all(record.levelno == logging.WARNING for record in caplog.records if record.name == "geventpool.session")
    return messages()


@pytest.mark.parametrize("mode", ["session", "transaction"])
@KINDS
def test_raise_refuses_the_statement_before_it_is_sent(make_database: MakeDatabase, mode: str, name: str) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode, SESSION_STATE="raise")
    made, _, look, with_it, without = state(name)
    with pytest.raises(SessionStateError) as refusal:
        database.fetch(made)
    assert isinstance(refusal.value, ProgrammingError)
    text = str(refusal.value)
    assert f"({name.split()[0]})" in text
    assert "pinned" in text
    assert "SESSION_STATE" in text
    assert made not in text
    assert value(database, look) == without
    with transaction.atomic(using=database.alias):
        with pytest.raises(SessionStateError):
            database.fetch(made)
        assert value(database, look) == without, "the transaction goes on"
    with pinned(database.alias):
        database.fetch(made)
        assert value(database, look) == with_it
    database.give_back()
    assert next_value(database, look) == without


@MODES
def test_raise_holds_for_the_drivers_own_cursors(make_database: MakeDatabase, mode: str) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode, SESSION_STATE="raise")
    raw = database.raw()
    for query in ("set work_mem = '77MB'", b"set work_mem = '77MB'", driver.sql.SQL("set work_mem = '77MB'")):
        with raw.cursor() as cursor, pytest.raises(SessionStateError):
            cursor.execute(query)
    with raw.cursor() as cursor, pytest.raises(SessionStateError):
        cursor.executemany("select set_config(%s, %s, false)", [("work_mem", "77MB")])
    if DRIVER == "psycopg":
        with pytest.raises(SessionStateError):
            raw.execute("set work_mem = '77MB'")
    assert value(database, "show work_mem") != "77MB"
    database.give_back()
    database.assert_whole()


def test_ignore_gives_back_and_says_nothing(make_database: MakeDatabase, caplog: pytest.LogCaptureFixture) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE="transaction", SESSION_STATE="ignore", ON_RELEASE_DISCARD_ALL=False)
    database.fetch("set work_mem = '77MB'")
    assert not is_held(database)
    assert value(database, "show work_mem") == "77MB", "as before there was SESSION_STATE"
    assert told(caplog, 0) == []
    database.fetch("reset work_mem")


def test_in_mode_session_warn_says_what_would_stay(
    make_database: MakeDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    database = make_database(MAX_CONNS=1, SESSION_STATE="warn")
    for _ in range(2):
        database.fetch("set work_mem = '77MB'")
    assert "(setting)" in told(caplog, 1)[0]
    database.fetch("listen door")
    assert "(listen)" in told(caplog, 2)[1]
    assert database.stats().pinned == {}


@pytest.mark.parametrize("policy", ["pin", "ignore"])
def test_in_mode_session_nothing_is_said_otherwise(
    make_database: MakeDatabase, policy: str, caplog: pytest.LogCaptureFixture
) -> None:
    database = make_database(MAX_CONNS=1, SESSION_STATE=policy)
    database.fetch("set work_mem = '77MB'")
    assert told(caplog, 0) == []


def test_a_pin_is_told_once_for_each_kind(make_database: MakeDatabase, caplog: pytest.LogCaptureFixture) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE="transaction")
    for _ in range(3):
        database.fetch("set work_mem = '77MB'")
        database.fetch("reset work_mem")
    (message,) = told(caplog, 1)
    assert "stays with it" in message
    assert database.stats().pinned == {"setting": 3}


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


def test_a_pinned_block_says_how_long_its_state_is_needed(
    make_database: MakeDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE="transaction")
    with pinned(database.alias):
        database.fetch("set work_mem = '77MB'")
    assert not is_held(database)
    assert value(database, "show work_mem") != "77MB"
    assert told(caplog, 0) == []


@MODES
@pytest.mark.parametrize("policy", ["pin", "raise"])
def test_what_receivers_set_up_is_theirs(
    make_database: MakeDatabase, mode: str, policy: str, caplog: pytest.LogCaptureFixture
) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode, SESSION_STATE=policy)
    calls: list[object] = []

    def set_up(connection: Any, **_: object) -> None:
        if connection.alias == database.alias and getattr(connection, "is_special", False):
            calls.append(None)
            with connection.cursor() as cursor:
                cursor.execute("SET statement_timeout = '77s'")
                cursor.execute("SET application_name = 'special'")

    connection_created.connect(set_up)
    try:
        database.connection.is_special = True
        for _ in range(3):
            assert value(database, "show statement_timeout") == "77s"
            assert is_held(database) is (mode == "session")
        assert len(calls) == 1, "the session stays as it was set up while nobody else meets it"
        database.give_back()
        assert next_value(database, "show statement_timeout") == "0"
        assert next_value(database, "show application_name") != "special"
        assert value(database, "show statement_timeout") == "77s"
        assert len(calls) == 2
    finally:
        connection_created.disconnect(set_up)
    assert told(caplog, 0) == []


@pytest.mark.parametrize(
    ("sql", "look", "without"),
    [
        ("select set_config('app.user', 'x', false)", "select current_setting('app.user', true)", ""),
        ("listen door", "select count(*) from pg_listening_channels()", 0),
        ("set application_name = 'x'; create temp table kept ()", "select to_regclass('pg_temp.kept')::text", None),
    ],
)
@MODES
def test_what_was_set_up_for_one_is_cleared_for_the_next(
    make_database: MakeDatabase, mode: str, sql: str, look: str, without: object
) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode, assume_role="app")

    def set_up(connection: Any, **_: object) -> None:
        if getattr(connection, "is_special", False):
            with connection.cursor() as cursor:
                cursor.execute(sql)

    connection_created.connect(set_up)
    try:
        database.connection.is_special = True
        pid = database.pid()
        assert value(database, look) != without
        assert is_held(database) is (mode == "session")
        database.give_back()
        assert next_value(database, look) == without
        assert next_value(database, "select current_user::text") == "app"
        assert next_value(database, "show time zone") == "UTC"
        assert next_value(database, "select pg_backend_pid()") == pid
    finally:
        connection_created.disconnect(set_up)


def test_what_was_set_up_and_is_reset_is_set_up_again(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE="transaction")

    def set_up(connection: Any, **_: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = '77s'")

    connection_created.connect(set_up)
    try:
        database.fetch("select 1")
        assert not is_held(database)
        database.fetch("reset statement_timeout")
        assert is_held(database)
        assert value(database, "show statement_timeout") == "0"
        database.give_back()
        assert value(database, "show statement_timeout") == "77s"
    finally:
        connection_created.disconnect(set_up)


class SetsPath(Base):
    """Sets something for each connection, on the way to a cursor, and remembers that until it is closed."""

    is_set = False

    def close(self) -> None:
        self.is_set = False
        super().close()

    def _cursor(self, name: str | None = None) -> Any:
        cursor = super()._cursor(name)
        if not self.is_set:
            self.is_set = True
            cursor.execute("SET search_path TO public, pg_catalog")
        return cursor


@MODES
@pytest.mark.parametrize("policy", ["pin", "raise"])
def test_what_a_derived_engine_sets_on_the_way_to_a_cursor_is_its_own(
    make_database: MakeDatabase, mode: str, policy: str
) -> None:
    database = make_database(
        MAX_CONNS=1, POOL_MODE=mode, SESSION_STATE=policy, settings={"ENGINE": engine_of(SetsPath)}
    )
    for _ in range(2):
        assert value(database, "show search_path") == "public, pg_catalog"
        assert is_held(database) is (mode == "session")
    if policy == "pin" and mode == "transaction":
        database.fetch("set work_mem = '77MB'")
        assert is_held(database)
        assert value(database, "show search_path") == "public, pg_catalog"
        database.fetch("reset work_mem")
        assert not is_held(database)
    database.give_back()
    database.assert_whole()


def change(database: Database, function: str, body: str) -> Callable[[], None]:
    """Make a function on the server; return what removes it."""
    name = f"{function}_{database.role}"
    database.server.query(f"CREATE FUNCTION {name}() RETURNS void LANGUAGE plpgsql AS $f$ BEGIN {body} END $f$")
    return lambda: database.server.query(f"DROP FUNCTION {name}()") and None


@MODES
def test_what_a_function_does_is_noticed_where_the_server_reports_it(make_database: MakeDatabase, mode: str) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode)
    remove = change(database, "date_style", "PERFORM set_config('DateStyle', 'German', false);")
    try:
        database.fetch(f"select date_style_{database.role}()")
        assert is_held(database)
        assert value(database, "select '2001-02-03'::date::text") == "03.02.2001"
        assert database.stats().pinned == ({"setting": 1} if mode == "transaction" else {})
        database.give_back()
        assert next_value(database, "select '2001-02-03'::date::text") == "2001-02-03"
    finally:
        remove()


@pytest.mark.parametrize("discard", [True, False, "dirty"])
def test_who_clears_sessions(make_database: MakeDatabase, discard: bool | str) -> None:
    database = make_database(MAX_CONNS=1, ON_RELEASE_DISCARD_ALL=discard)
    database.fetch("create temp table kept ()")
    database.give_back()
    assert next_value(database, "select to_regclass('pg_temp.kept')::text") == (None if discard else "kept")
    database.fetch("discard all")


def test_a_role_of_the_options_that_is_reset_pins(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE="transaction", assume_role="app")
    assert value(database, "select current_user::text") == "app"
    assert not is_held(database)
    database.fetch("reset role")
    assert is_held(database)
    assert value(database, "select current_user::text") == database.role
    database.give_back()
    assert value(database, "select current_user::text") == "app"
    assert not is_held(database)


def test_a_time_zone_pins_and_is_put_back(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE="transaction")
    database.fetch("set time zone 'Pacific/Fiji'")
    assert value(database, "show time zone") == "Pacific/Fiji"
    assert is_held(database)
    database.give_back()
    assert value(database, "show time zone") == "UTC"


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
