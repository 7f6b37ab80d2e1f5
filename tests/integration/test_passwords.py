"""DATABASES[alias]["PASSWORD"] as a function: passwords that change while the process runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connections

from servers.postgres import PostgresServer
from tests.support.database import Database
from tests.support.tasks import Task, results
from tests.support.waiting import eventually

from .conftest import MakeDatabase
from .test_restart import Load

#: The settings that can have a function.
SETTINGS = ("PASSWORD", "OPTIONS")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer(password="f1rst-one") as own:
        yield own


class Vault:
    """Has the current password, and counts the questions for it."""

    def __init__(self, password: str) -> None:
        self.password = password
        self.asked = 0

    def __call__(self) -> str:
        self.asked += 1
        return self.password


def set_password(database: Database, password: Any, where: str = "PASSWORD") -> None:
    """Set the password's setting, before the first connection."""
    if where == "PASSWORD":
        database.settings["PASSWORD"] = password
    else:
        database.settings["PASSWORD"] = ""
        database.settings["OPTIONS"]["password"] = password


@pytest.mark.parametrize("where", SETTINGS)
@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_it_is_asked_once_for_each_connection(
    make_database: MakeDatabase, server: PostgresServer, mode: str, where: str
) -> None:
    # At a full server, connections would be closed for other processes, and opened again.
    database = make_database(server=server, role_limit=4, MAX_CONNS=3, POOL_MODE=mode, CONN_WAIT_TIMEOUT=60)
    vault = Vault(server.password)
    set_password(database, vault, where)
    assert [rows[0][0] for rows in results([Task(database.answer, "select %s::int", n) for n in range(50)])] == list(
        range(50)
    )
    database.assert_whole()
    assert vault.asked == database.stats().connects == 3


def test_new_connections_use_the_new_password_and_old_ones_go_on(
    make_database: MakeDatabase, server: PostgresServer
) -> None:
    # At a full server, connections would be closed for other processes and opened again, perhaps between the two
    # changes.
    database = make_database(server=server, role_limit=6, MAX_CONNS=5, CONN_WAIT_TIMEOUT=60)
    vault = Vault(server.password)
    set_password(database, vault)
    pid = database.pid()
    load = Load(database, 20)
    try:
        eventually(lambda: database.stats().connects == 5, "all connections")
        load.await_more("right")
        server.query(f"ALTER ROLE {database.role} PASSWORD 's3cond-one'")
        vault.password = "s3cond-one"
        load.await_more("right")
        asked = vault.asked
        # Connections are closed as they come back, as the queries of the load must not fail.
        database.pool.resize(1)
        eventually(lambda: database.stats().size == 1, "one connection left, this one")
        database.pool.resize(5)
        eventually(lambda: vault.asked > asked, "new connections")
        load.await_more("right")
        assert database.pid() == pid
    finally:
        load.end()
    assert set(load.answers) == {"right"}
    database.give_back()
    database.assert_whole()


def test_a_password_that_is_not_the_new_one_is_an_error_until_it_is(
    make_database: MakeDatabase, server: PostgresServer
) -> None:
    database = make_database(server=server, MAX_CONNS=2)
    vault = Vault("hunter2")
    set_password(database, vault)
    for _ in range(5):
        with pytest.raises(OperationalError, match="password authentication failed") as caught:
            database.answer("select 1")
        assert "hunter2" not in str(caught.value)
    vault.password = server.password
    assert database.answer("select 7") == [(7,)]
    database.assert_whole()


def test_an_error_of_the_function_reaches_the_task_and_costs_no_room(
    make_database: MakeDatabase, server: PostgresServer
) -> None:
    database = make_database(server=server, MAX_CONNS=2, CONN_WAIT_TIMEOUT=60)
    is_open = False

    def fetch_password() -> str:
        if not is_open:
            raise LookupError("the vault is closed")
        return server.password

    set_password(database, fetch_password)
    tasks = [Task(database.answer, "select 1") for _ in range(10)]
    for task in tasks:
        with pytest.raises(LookupError, match="the vault is closed"):
            task.result()
    assert database.stats().size == 0
    is_open = True
    database.assert_whole()


@pytest.mark.parametrize("answer", [b"hunter2", None, 5])
def test_anything_but_a_string_is_an_error_without_the_answer(
    make_database: MakeDatabase, server: PostgresServer, answer: object
) -> None:
    database = make_database(server=server, MAX_CONNS=1)
    set_password(database, lambda: answer)
    with pytest.raises(ImproperlyConfigured, match="must return a string, but it returned") as caught:
        database.answer("select 1")
    assert type(answer).__name__ in str(caught.value)
    assert "hunter2" not in str(caught.value)
    set_password(database, server.password)


@pytest.mark.parametrize("where", SETTINGS)
def test_a_function_that_needs_arguments_is_found_before_the_first_connection(
    make_database: MakeDatabase, server: PostgresServer, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    database = make_database(server=server, MAX_CONNS=1)
    set_password(database, lambda name: str(name), where)
    with pytest.raises(ImproperlyConfigured, match=f'"{database.alias}".*without arguments'):
        database.answer("select 1")
    monkeypatch.setitem(settings.DATABASES, database.alias, connections.settings[database.alias])
    (message,) = [message for message in run_checks() if message.id == "geventpool.E002"]
    assert "no arguments" in message.msg
    set_password(database, Vault(server.password), where)
    assert "geventpool.E002" not in {message.id for message in run_checks()}


def test_it_is_never_logged_or_shown(
    make_database: MakeDatabase, server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    database = make_database(server=server, MAX_CONNS=1, CONN_MAX_LIFETIME=0.05)
    set_password(database, lambda: server.password)
    for _ in range(3):
        database.answer("select pg_sleep(0.1)::text")
    pool = database.pool
    shown = f"{pool!r} {pool.stats()!r} {pool.driver!r} {database.connection!r}"
    assert caplog.text
    assert server.password not in caplog.text + shown


def test_connections_beside_the_pool_get_it_too(make_database: MakeDatabase, server: PostgresServer) -> None:
    database = make_database(server=server, MAX_CONNS=1, role_limit=2)
    vault = Vault(server.password)
    set_password(database, vault)
    with database.connection._nodb_cursor() as cursor:  # noqa: SLF001  Django creates test databases with it
        cursor.execute("select 7")
        assert cursor.fetchone() == (7,)
    assert vault.asked == 1
    command, environment = database.connection.client.settings_to_cmd_args_env(database.connection.settings_dict, [])
    assert command[0] == "psql"
    assert environment["PGPASSWORD"] == server.password


def test_without_the_pool_it_is_asked_as_well(make_database: MakeDatabase, server: PostgresServer) -> None:
    database = make_database(server=server, MAX_CONNS=1)
    set_password(database, Vault(server.password))
    database.settings["OPTIONS"] = {"pool": False}
    assert database.answer("select 7") == [(7,)]
