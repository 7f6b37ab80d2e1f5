"""A holder's changes of its session: role, authorization, characteristics of transactions."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from django.db import connections
from django.db.backends.signals import connection_created

from servers.proxy import Proxy
from tests.support.database import Database
from tests.support.drivers import DRIVER
from tests.support.tasks import Task

from .conftest import MODES, MakeDatabase

IDENTITY = "select current_user::text, session_user::text"
CHARACTERISTICS = (
    "select current_setting('default_transaction_isolation'), current_setting('default_transaction_read_only'),"
    " current_setting('default_transaction_deferrable')"
)
AS_EVER = [("read committed", "off", "off")]

CHANGES_OF_ROLE = [
    "set role app",
    "SET SESSION ROLE app",
    "select 1; -- and then\n  set role app",
    "/* a comment */ set /* another */ role app",
    "select set_config('role', 'app', false)",
    "SELECT SET_CONFIG(E'role', 'app', false)",
    "set \"role\" = 'app'",
    "do $$ begin set role app; end $$",
    "do $$ begin perform set_config('role', 'app', false); end $$",
]
CHANGES_OF_CHARACTERISTICS = [
    "set session characteristics as transaction isolation level serializable",
    "set session characteristics as transaction read only",
    "set session characteristics as transaction deferrable",
    "set default_transaction_isolation = 'repeatable read'",
    "SET SESSION default_transaction_read_only TO on",
    "select set_config('default_transaction_deferrable', 'on', false)",
    "update pg_settings set setting = 'serializable' where name = 'default_transaction_isolation'",
]


def leave(database: Database, sql: str, *parameters: object) -> int:
    """Run SQL, and give the connection back; in mode "transaction" it goes back by itself."""
    pid = database.pid()
    database.fetch(sql, *parameters)
    database.give_back()
    return pid


def next_answer(database: Database, sql: str) -> list[tuple[Any, ...]]:
    return Task(database.answer, sql).result()


@MODES
@pytest.mark.parametrize("sql", CHANGES_OF_ROLE)
def test_a_role_does_not_reach_the_next_holder(make_database: MakeDatabase, mode: str, sql: str) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode)
    pid = leave(database, sql)
    assert next_answer(database, IDENTITY) == [(database.role, database.role)]
    assert Task(database.pid).result() == pid, "the connection was thrown away"


@pytest.mark.parametrize("binding", [False, True])
def test_a_role_that_is_a_parameter_does_not_reach_the_next_holder(make_database: MakeDatabase, binding: bool) -> None:
    options = {} if DRIVER == "psycopg2" else {"server_side_binding": binding, "prepare_threshold": 0}
    database = make_database(MAX_CONNS=1, **options)
    pid = leave(database, "select set_config(%s, %s, %s)", "role", "app", False)
    assert next_answer(database, IDENTITY) == [(database.role, database.role)]
    assert Task(database.pid).result() == pid


def test_the_role_of_the_options_is_there_again(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, assume_role="app")
    for sql in ("reset role", "set role none", f"set role {database.role}", "discard all"):
        leave(database, sql)
        assert next_answer(database, IDENTITY) == [("app", database.role)]


def test_the_role_that_the_server_sets_at_the_start_is_there_again(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    database.server.query(f"ALTER ROLE {database.role} SET role = 'app'")
    leave(database, "set role none")
    assert next_answer(database, IDENTITY) == [("app", database.role)]


def test_a_session_authorization_does_not_reach_the_next_holder(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    database.server.query(f"ALTER ROLE {database.role} SUPERUSER")
    for sql in (
        "set session authorization app",
        "select set_config('session_authorization', 'app', false)",
        "set local session authorization app; set session session authorization app",
    ):
        pid = leave(database, sql)
        assert next_answer(database, IDENTITY) == [(database.role, database.role)]
        assert Task(database.pid).result() == pid


def test_what_a_function_does_is_noticed_where_the_server_reports_it(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    database.server.query(f"ALTER ROLE {database.role} SUPERUSER")
    name = f"become_{database.role}"
    database.server.query(f"CREATE FUNCTION {name}() RETURNS void LANGUAGE plpgsql AS $$ BEGIN SET ROLE app; END $$")
    try:
        leave(database, f"select {name}()")
        assert next_answer(database, IDENTITY) == [(database.role, database.role)]
    finally:
        database.server.query(f"DROP FUNCTION {name}()")


def test_what_a_procedure_does_does_not_reach_the_next_holder(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    name = f"become_{database.role}"
    database.server.query(
        f"CREATE PROCEDURE {name}() LANGUAGE plpgsql AS $$ BEGIN SET ROLE app;"
        " SET default_transaction_isolation = 'serializable'; END $$"
    )
    try:
        leave(database, f"call {name}()")
        assert next_answer(database, IDENTITY) == [(database.role, database.role)]
        assert next_answer(database, CHARACTERISTICS) == AS_EVER
    finally:
        database.server.query(f"DROP PROCEDURE {name}()")


@MODES
@pytest.mark.parametrize("sql", CHANGES_OF_CHARACTERISTICS)
def test_characteristics_do_not_reach_the_next_holder(make_database: MakeDatabase, mode: str, sql: str) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode)
    pid = leave(database, sql)
    assert next_answer(database, CHARACTERISTICS) == AS_EVER
    assert Task(database.pid).result() == pid, "the connection was thrown away"


def test_characteristics_of_the_options_are_there_again(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, options="-c default_transaction_isolation=serializable")
    leave(database, "set default_transaction_isolation = 'read committed'")
    assert next_answer(database, CHARACTERISTICS) == [("serializable", "off", "off")]


def test_what_is_changed_past_djangos_cursors_is_noticed(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    for _ in range(2):
        database.connection.ensure_connection()
        raw = connections[database.alias].connection
        with raw.cursor() as cursor:
            cursor.execute(b"set role app")
        database.give_back()
        assert next_answer(database, IDENTITY) == [(database.role, database.role)]
        database.connection.ensure_connection()
        with connections[database.alias].connection.cursor() as cursor:
            cursor.executemany("select set_config(%s, %s, false)", [("role", "app")])
        database.give_back()
        assert next_answer(database, IDENTITY) == [(database.role, database.role)]


def test_another_client_encoding_costs_the_connection(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    pid = leave(database, "set client_encoding to 'latin1'")
    assert next_answer(database, "select 'é'") == [("é",)]
    assert Task(database.pid).result() != pid
    database.assert_whole()


@MODES
@pytest.mark.parametrize("discard", ["dirty", False])
def test_nothing_is_sent_where_nothing_was_changed(
    make_database: MakeDatabase, mode: str, discard: Literal["dirty", False]
) -> None:
    other = make_database()
    with Proxy(other.server.host, other.server.port) as proxy:
        database = make_database(
            MAX_CONNS=1,
            role_limit=3,
            POOL_MODE=mode,
            ON_RELEASE_DISCARD_ALL=discard,
            settings={"HOST": "127.0.0.1", "PORT": proxy.port},
        )
        harmless = ["select 'offset', role from (values (1)) as roles (role)", "reset all"]
        left = ["set search_path to public", "set app.role = 'x'", "select set_config('app.user', 'x', false)"]
        for sql in harmless if discard else [*harmless, *left]:
            database.connection.pin() if mode == "transaction" else None
            database.fetch(sql)
            proxy.freeze()
            database.give_back()  # It must not wait for an answer.
            if mode == "transaction":
                database.connection.unpin()
            assert database.stats().idle == 1
            proxy.thaw()


def test_a_receiver_hears_of_a_session_that_was_put_back(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE="transaction")

    def set_role(connection: Any, **_: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("set role app")

    connection_created.connect(set_role)
    try:
        for _ in range(3):
            assert database.fetch("select current_user::text") == [("app",)]
    finally:
        connection_created.disconnect(set_role)
    assert next_answer(database, "select current_user::text") == [(database.role,)]
