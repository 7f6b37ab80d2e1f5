"""System checks that ask the server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.core.checks import CheckMessage, run_checks
from django.db import connections

from django_geventpool.checks.server import check_server
from servers.ports import free_ports
from servers.postgres import PostgresServer
from servers.postgres_binaries import PostgresNotFound
from tests.support.database import Database
from tests.support.drivers import driver

from .conftest import MODES, MakeDatabase


def check(database: Database) -> list[CheckMessage]:
    return list(check_server(database.alias))


@contextlib.contextmanager
def sessions(database: Database, names: list[str]) -> Iterator[None]:
    """Have sessions of the database's role, with these application names."""
    with contextlib.ExitStack() as stack:
        for name in names:
            dsn = {**database.server.dsn, "user": database.role, "application_name": name}
            stack.enter_context(contextlib.closing(driver.connect(**dsn)))
        yield


@MODES
def test_the_limit_that_is_shared_is_named_and_the_connection_goes_back(make_database: MakeDatabase, mode: str) -> None:
    database = make_database(MAX_CONNS=4, role_limit=9, POOL_MODE=mode)
    (message,) = check(database)
    assert message.id == "geventpool.I003"
    assert message.msg == (
        f'DATABASES["{database.alias}"]: CONNECTION LIMIT of the role {database.role} allows 9 connections, for all '
        "processes together. MAX_CONNS is 4 here; no other pool is in the list."
    )
    assert "the sum of their MAX_CONNS may be more than the limit" in str(message.hint)
    assert database.stats().in_use == 0


def test_other_pools_are_counted_and_strangers_named(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=4, role_limit=9)
    names = ["shop a:1 ~aaaaaa.10.4.1", "shop a:1 ~aaaaaa.10.5.2", "shop b:1 ~bbbbbb.7.0.1", "psql", "psql", ""]
    with sessions(database, names):
        (message,) = check(database)
    assert message.id == "geventpool.I003"
    assert message.msg.endswith(
        "MAX_CONNS is 4 here; 2 other pools are in the list, with MAX_CONNS 17 in all; 3 sessions belong to none "
        "(psql 2, unnamed 1)."
    )


def test_as_many_pools_as_connections_are_a_warning(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=4, role_limit=4)
    with sessions(database, ["~aaaaaa.10.4.1", "~bbbbbb.10.4.1", "psql"]):
        (message,) = check(database)
    assert message.id == "geventpool.W014"
    assert "2 other pools are in the list, with MAX_CONNS 20 in all; 1 session belongs to none (psql 1)." in message.msg
    assert "they take turns" in message.msg


def test_idle_connections_of_all_pools_that_take_the_whole_limit_are_a_warning(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=4, MIN_CONNS=3, role_limit=10)
    with sessions(database, ["~aaaaaa.10.4.1", "~bbbbbb.10.4.1", "psql"]):
        (message,) = check(database)
    assert message.id == "geventpool.W015"
    assert "MIN_CONNS is 3: if all 3 pools keep as many open" in message.msg
    assert "Set MIN_CONNS to 2 or less" in str(message.hint)


def test_a_connection_that_is_open_already_stays_open(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    pid = database.pid()
    assert [message.id for message in check(database)] == ["geventpool.I003"]
    assert database.pid() == pid
    database.give_back()


def test_more_than_the_role_may_have_is_a_warning(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=5, role_limit=3)
    (message,) = check(database)
    assert message.id == "geventpool.W005"
    assert f"MAX_CONNS is 5, but CONNECTION LIMIT of the role {database.role} allows 3 connections" in message.msg
    assert "set MAX_CONNS to 3 or less" in str(message.hint)


def test_manage_py_check_asks_the_server_of_a_database_that_it_is_told(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = make_database(MAX_CONNS=5, role_limit=3)
    monkeypatch.setitem(settings.DATABASES, database.alias, connections.settings[database.alias])
    assert "geventpool.W005" not in {message.id for message in run_checks()}
    assert "geventpool.W005" in {message.id for message in run_checks(databases=[database.alias])}


def test_more_than_the_server_has_room_for_is_a_warning(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=100_000)
    most, reserved = (
        int(database.server.query(f"SHOW {name}")[0][0])
        for name in ("max_connections", "superuser_reserved_connections")
    )
    (message,) = check(database)
    assert message.id == "geventpool.W005"
    assert f"max_connections without reserved ones allows {most - reserved} connections" in message.msg


def test_more_than_the_database_may_have_is_a_warning(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=8)
    database.server.query(f"CREATE DATABASE {database.role} CONNECTION LIMIT 7")
    database.settings["NAME"] = database.role
    try:
        (message,) = check(database)
    finally:
        database.pool.close()
        database.server.query(f"DROP DATABASE {database.role} WITH (FORCE)")
    assert f"CONNECTION LIMIT of the database {database.role} allows 7 connections" in message.msg


def test_without_a_limit_of_its_own_and_alone_there_is_nothing_to_say(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=4)
    database.server.query(f"ALTER ROLE {database.role} CONNECTION LIMIT -1")
    assert check(database) == []


@pytest.fixture
def discreet_server() -> Iterator[PostgresServer]:
    """A server that tells nobody who is connected."""
    try:
        server = PostgresServer(max_connections=20)
    except PostgresNotFound as error:
        pytest.skip(str(error))
    with server:
        server.query("REVOKE EXECUTE ON FUNCTION pg_stat_get_activity(int) FROM PUBLIC")
        yield server


def test_a_server_that_does_not_show_its_sessions_is_a_warning(
    discreet_server: PostgresServer, make_database: MakeDatabase
) -> None:
    database = make_database(server=discreet_server, MAX_CONNS=4)
    discreet_server.query(f"REVOKE {discreet_server.user} FROM {database.role}")
    (message,) = check(database)
    assert message.id == "geventpool.W013"
    assert "can't see each other: permission denied for function pg_stat_get_activity" in message.msg
    assert "Keep MAX_CONNS, times the number of processes, within the limit" in str(message.hint)


def test_a_server_that_is_not_there_is_a_warning_without_the_password(make_database: MakeDatabase) -> None:
    database = make_database(settings={"PORT": free_ports(1)[0], "PASSWORD": "hunter2"})
    (message,) = check(database)
    assert message.id == "geventpool.W007"
    assert "could not be asked" in message.msg
    assert "hunter2" not in str(message)
