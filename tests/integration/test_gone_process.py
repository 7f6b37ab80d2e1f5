"""A process that was killed: its queries end on the server, by client_connection_check_interval."""

from __future__ import annotations

import pytest

from tests.support.programs import start_program
from tests.support.waiting import eventually

from .conftest import MakeDatabase

INTERVAL = "show client_connection_check_interval"


def test_the_query_of_a_killed_process_ends_on_the_server_within_seconds(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    process = start_program("hang", database.settings)
    try:
        database.await_running("pg_sleep(600)")
        process.kill()
        eventually(lambda: database.count() == 0, "the server to notice")
    finally:
        process.kill()
        process.communicate()


def test_the_server_looks_after_its_clients_by_default_at_no_round_trip(make_database: MakeDatabase) -> None:
    database = make_database()
    assert database.answer(INTERVAL) == [("2s",)]
    # The setting came with the start of the session, as a client's option, not by a statement.
    source = "select source from pg_settings where name = 'client_connection_check_interval'"
    assert database.answer(source) == [("client",)]


def test_the_interval_that_the_user_set_wins(make_database: MakeDatabase) -> None:
    database = make_database(options="-c client_connection_check_interval=7000")
    assert database.answer(INTERVAL) == [("7s",)]


def test_other_options_of_the_user_stay(make_database: MakeDatabase) -> None:
    database = make_database(options="-c statement_timeout=17000")
    assert database.answer("show statement_timeout") == [("17s",)]
    assert database.answer(INTERVAL) == [("2s",)]


def test_options_from_the_environment_stay(make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c statement_timeout=17000")
    database = make_database()
    assert database.answer("show statement_timeout") == [("17s",)]
    assert database.answer(INTERVAL) == [("2s",)]


def test_a_restarted_pool_of_a_killed_process_finds_room(make_database: MakeDatabase) -> None:
    # The role may have one session: that of the killed process must be gone first.
    database = make_database(MAX_CONNS=1, role_limit=1, CONN_WAIT_TIMEOUT=60)
    process = start_program("hang", database.settings)
    try:
        database.await_running("pg_sleep(600)")
        process.kill()
        assert database.answer("select 7") == [(7,)]
    finally:
        process.kill()
        process.communicate()
