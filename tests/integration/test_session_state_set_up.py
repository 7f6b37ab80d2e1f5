"""State of the session that is set up for each session: by receivers, by derived engines, by OPTIONS."""

from __future__ import annotations

from typing import Any

import pytest
from django.db.backends.signals import connection_created

from tests.support.derived_engines import Base, engine_of
from tests.support.session_states import is_held, next_value, told, value

from .conftest import MODES, MakeDatabase


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


class ClosesOnTheWay(SetsPath):
    """The same, which closes on the way to a cursor if it is asked to, as a failing health check does."""

    is_to_close = False

    def _cursor(self, name: str | None = None) -> Any:
        if self.is_to_close:
            self.is_to_close = False
            self.close()
        return super()._cursor(name)


@MODES
@pytest.mark.parametrize("policy", ["pin", "raise"])
def test_that_holds_after_a_close_on_the_way(make_database: MakeDatabase, mode: str, policy: str) -> None:
    settings = {"ENGINE": engine_of(ClosesOnTheWay)}
    database = make_database(MAX_CONNS=1, POOL_MODE=mode, SESSION_STATE=policy, settings=settings)
    database.fetch("select 1")
    database.connection.is_to_close = True
    assert value(database, "show search_path") == "public, pg_catalog"
    assert is_held(database) is (mode == "session")
    assert database.stats().pinned == {}
    database.give_back()
    assert database.connection.calls_under_way == 0
