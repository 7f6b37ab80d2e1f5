"""SESSION_STATE: what a statement does that leaves something in the session, as each value has it."""

from __future__ import annotations

import pytest
from django.db import ProgrammingError, transaction

from django_geventpool.errors import SessionStateError
from django_geventpool.utils import pinned
from tests.support.drivers import DRIVER, driver
from tests.support.session_states import KINDS, is_held, next_value, state, told, value

from .conftest import MODES, MakeDatabase


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


def test_a_pinned_block_says_how_long_its_state_is_needed(
    make_database: MakeDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE="transaction")
    with pinned(database.alias):
        database.fetch("set work_mem = '77MB'")
    assert not is_held(database)
    assert value(database, "show work_mem") != "77MB"
    assert told(caplog, 0) == []
