"""Processes that share a full server see each other in its session list."""

from __future__ import annotations

import contextlib
import logging

import pytest

from django_geventpool.drivers import base
from django_geventpool.pool import server_limit
from django_geventpool.pool.fleet.badge import read
from django_geventpool.pool.fleet.census import Census
from servers.postgres_address import QUERY_SESSION
from tests.support import inside
from tests.support.database import Database
from tests.support.drivers import driver
from tests.support.tasks import Task, results
from tests.support.waiting import eventually

from .conftest import MakeDatabase, PutPgBouncerBefore


def look(database: Database, badge: str = "") -> Census | None:
    connection = database.pool.getconn()
    try:
        return database.pool.driver.look(connection, badge)
    finally:
        database.pool.putconn(connection)


def is_full(database: Database) -> bool:
    census = look(database)
    assert census is not None
    assert census.is_readable
    return census.is_full


def names(database: Database) -> list[str]:
    return [
        name
        for (name,) in database.server.query(
            f"SELECT application_name FROM pg_stat_activity WHERE usename = '{database.role}' ORDER BY backend_start"
        )
    ]


def test_the_roles_limit_is_known_to_be_reached(make_database: MakeDatabase) -> None:
    assert is_full(make_database(MAX_CONNS=1, role_limit=1))
    assert not is_full(make_database(MAX_CONNS=1, role_limit=2))


def test_the_databases_limit_is_known_to_be_reached(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, role_limit=2)
    dbname = database.server.dbname
    database.answer("select 1")
    ((sessions,),) = database.server.query(
        f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{dbname}' AND backend_type = 'client backend'"
        f" AND application_name <> '{QUERY_SESSION}'"
    )
    database.server.query(f'ALTER DATABASE "{dbname}" CONNECTION LIMIT {sessions}')
    try:
        assert is_full(database)
    finally:
        database.server.query(f'ALTER DATABASE "{dbname}" CONNECTION LIMIT -1')
    assert not is_full(database)


def test_the_list_says_who_has_how_many_and_what_the_limits_are(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=3, role_limit=7, options="-c application_name=ours")
    with contextlib.closing(driver.connect(**{**database.server.dsn, "user": database.role})):
        census = look(database)
    assert census is not None
    scopes = {scope.kind: scope for scope in census.scopes}
    (member,) = scopes["role"].members.values()
    assert (member.sessions, member.badge.limit, scopes["role"].limit, scopes["role"].strangers) == (1, 3, 7, 1)
    (limits,) = database.server.query(
        "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
        " - coalesce(current_setting('reserved_connections', true), '0')::int"
    )
    assert scopes["server"].limit == int(limits[0])
    assert scopes["server"].members.keys() == {member.badge.token}
    assert "database" not in scopes


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({}, ""),
        ({"application_name": "shop's 100%"}, "shop's 100% "),
        ({"options": "-c application_name=in\\ options"}, "in options "),
        ({"options": "-c Application_Name=first --application-name=last"}, "last "),
        ({"fallback_application_name": "else"}, "else "),
    ],
)
def test_sessions_say_whose_they_are_after_the_users_own_text(
    make_database: MakeDatabase, given: dict[str, str], shown: str
) -> None:
    database = make_database(MAX_CONNS=2, **given)
    database.answer("select 1")
    (name,) = names(database)
    badge = read(name)
    assert badge is not None
    assert name.startswith(shown)
    assert (badge.limit, badge.demand) == (2, 1)
    told = str(badge).replace(".2.1.", ".2.2.")
    look(database, told)
    assert names(database) == [name.replace(str(badge), told)]


def test_the_name_that_the_environment_gives_stays_in_front(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGAPPNAME", "by environment")
    database = make_database()
    database.answer("select 1")
    assert names(database)[0].startswith("by environment ")


def test_a_holders_own_name_is_his_until_it_is_discarded(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    database.fetch("set application_name = 'mine'")
    assert names(database) == ["mine"]
    token = inside.state(database.pool).server.fleet.token
    assert database.pool.driver.look(database.connection.connection, f"~{token}.1.1.5") is not None
    assert names(database) == ["mine"], "a look leaves it alone"
    database.give_back()
    (name,) = names(database)
    badge = read(name)
    assert badge is not None
    assert badge.token == token, "what it was opened with"


def test_a_look_is_no_state_of_the_session(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    before = database.pid()
    connection = database.connection.connection
    token = inside.state(database.pool).server.fleet.token
    assert database.pool.driver.look(connection, f"~{token}.1.1.5") is not None
    assert not database.pool.driver.kinds_kept(connection)
    assert not connection.changes()
    database.give_back()
    assert database.pid() == before
    database.give_back()


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_behind_pgbouncer_the_list_is_not_believed_and_no_badge_worn(
    make_database: MakeDatabase, put_pgbouncer_before: PutPgBouncerBefore, caplog: pytest.LogCaptureFixture, mode: str
) -> None:
    caplog.set_level(logging.INFO, "geventpool")
    database = make_database(MAX_CONNS=2, role_limit=4, CONN_WAIT_TIMEOUT=60)
    put_pgbouncer_before(database, mode, size=2)
    results([Task(database.answer, "select %s::int, pg_sleep(0.01)::text", number) for number in range(50)])
    for _ in range(2):
        census = look(database)
        assert census is not None
        assert not census.is_readable
    assert inside.state(database.pool).server.fleet.is_readable is False
    assert "a pooler in between" in caplog.text
    assert database.pool.stats().fleet_limit == 0
    database.pool.close_idle()
    eventually(lambda: database.stats().size == 0, "the old connections gone")
    database.answer("select 1")
    (slot,) = inside.slots(database.pool)
    assert read(slot.connection.reported("application_name")) is None


def test_behind_pgbouncer_no_session_is_renamed_for_a_client(
    make_database: MakeDatabase, put_pgbouncer_before: PutPgBouncerBefore
) -> None:
    """Not for the first connection either, which may remain the only one."""
    database = make_database(MAX_CONNS=1, role_limit=4, application_name="shop")
    pooler = put_pgbouncer_before(database, "transaction", size=2)
    database.fetch("select 1")
    assert names(database) == ["shop"]
    eventually(lambda: len(pooler.show("CLIENTS")) == 2, "one client beside the console")
    database.give_back()


def test_a_server_that_does_not_answer_is_asked_once(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = make_database(MAX_CONNS=1, role_limit=1)
    with monkeypatch.context() as patch:
        patch.setattr(base, "session_list_query", lambda name: "select no_such_function()")
        assert look(database) == Census([], is_readable=False)
    assert look(database) == Census([], is_readable=False)
    database.assert_whole()


@pytest.mark.parametrize("answer", ["null", "'nonsense'", "'1 t 2'"])
def test_an_answer_that_is_no_list_is_not_believed(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    database = make_database(MAX_CONNS=1, role_limit=1)
    monkeypatch.setattr(base, "session_list_query", lambda name: f"select {answer}::text")
    assert look(database) == Census([], is_readable=False)
    database.assert_whole()


def test_a_server_that_is_too_slow_once_is_asked_again(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = make_database(MAX_CONNS=1, role_limit=1, options="-c statement_timeout=1000")
    with monkeypatch.context() as patch:
        patch.setattr(base, "session_list_query", lambda name: "select pg_sleep(600)")
        assert look(database) is None
    assert is_full(database)


@pytest.mark.parametrize("state", ["40001", "53200", "57014"])
def test_a_server_that_fails_in_passing_is_asked_again(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    database = make_database(MAX_CONNS=1, role_limit=1)
    failure = f"do $$ begin raise exception 'not now' using errcode = '{state}'; end $$"
    with monkeypatch.context() as patch:
        patch.setattr(base, "session_list_query", lambda name: failure)
        assert look(database) is None
    assert is_full(database)


def test_temporary_tables_do_not_hide_the_servers_own_types(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, role_limit=1, ON_RELEASE_DISCARD_ALL=False)
    database.answer("create temporary table text (a int); create temporary table bytea (a int)")
    assert is_full(database)


def test_another_process_gets_in_though_there_is_always_somebody_who_waits(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_limit, "PROBE_INTERVAL", (0.5, 0.5))
    database = make_database(MAX_CONNS=3, role_limit=3, CONN_WAIT_TIMEOUT=60)
    settled: list[None] = []

    def work() -> int:
        answers = 0
        while not settled:
            assert database.answer("select 7, pg_sleep(0.01)")[0][0] == 7
            answers += 1
        return answers

    tasks = [Task(work) for _ in range(12)]
    eventually(lambda: database.stats().in_use == 3 and database.stats().waiting > 3, "a pool that is always busy")

    def get_in() -> object:
        with contextlib.suppress(driver.OperationalError):
            return driver.connect(**{**database.server.dsn, "user": database.role})
        return None

    try:
        other = eventually(get_in, "room for somebody else")
    finally:
        settled.append(None)
    assert all(results(tasks))
    other.close()  # type: ignore[attr-defined]
    assert database.stats().closed["yielded"] >= 1
    eventually(lambda: database.count() <= 3, "the other gone")
    database.assert_whole()
