"""System checks that ask the server."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.core.checks import CheckMessage, run_checks
from django.db import connections

from django_geventpool.checks.server import check_server
from servers.ports import free_ports
from tests.support.database import Database

from .conftest import MakeDatabase


def check(database: Database) -> list[CheckMessage]:
    return list(check_server(database.alias))


def test_a_server_with_room_passes_and_the_connection_goes_back(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=4)
    assert check(database) == []
    assert database.stats().in_use == 0


def test_a_connection_that_is_open_already_stays_open(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    pid = database.pid()
    assert check(database) == []
    assert database.pid() == pid
    database.give_back()


def test_more_than_the_role_may_have_is_a_warning(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=5, role_limit=3)
    (message,) = check(database)
    assert message.id == "geventpool.W005"
    assert "MAX_CONNS is 5, but the role's CONNECTION LIMIT allows 3 connections" in message.msg
    assert "Lower MAX_CONNS" in str(message.hint)


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
    assert f"the server's max_connections allows {most - reserved} connections" in message.msg


def test_more_than_the_database_may_have_is_a_warning(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=8)
    database.server.query(f"CREATE DATABASE {database.role} CONNECTION LIMIT 7")
    database.settings["NAME"] = database.role
    try:
        (message,) = check(database)
    finally:
        database.pool.close()
        database.server.query(f"DROP DATABASE {database.role} WITH (FORCE)")
    assert "the database's CONNECTION LIMIT allows 7 connections" in message.msg


def test_a_server_that_is_not_there_is_a_warning_without_the_password(make_database: MakeDatabase) -> None:
    database = make_database(settings={"PORT": free_ports(1)[0], "PASSWORD": "hunter2"})
    (message,) = check(database)
    assert message.id == "geventpool.W007"
    assert "could not be asked" in message.msg
    assert "hunter2" not in str(message)
