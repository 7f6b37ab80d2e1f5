"""A holder's changes of psycopg2's connection object don't reach the next holder."""

from __future__ import annotations

from typing import Any

import psycopg2.extensions
import psycopg2.extras
import pytest

from tests.support.tasks import Task

from .conftest import MODES, MakeDatabase

pytestmark = pytest.mark.driver("psycopg2")


@MODES
def test_a_cursor_factory_and_typecasters_do_not_reach_the_next_holder(make_database: MakeDatabase, mode: str) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode)
    connection = database.raw()
    pid = database.pid()
    shout = psycopg2.extensions.new_type((25,), "SHOUT", lambda value, _cursor: value and value.upper())
    psycopg2.extensions.register_type(shout, connection)
    psycopg2.extras.register_default_jsonb(connection, loads=lambda _text: "whatever")
    connection.cursor_factory = psycopg2.extras.DictCursor
    connection.notices = ()
    assert database.fetch("select 'a'::text") == [["A"]]
    database.give_back()
    (row,) = Task(database.answer, "select 'a'::text, '{}'::jsonb, pg_backend_pid()").result()
    assert row == ("a", "{}", pid)
    assert type(row) is tuple
    assert database.raw().notices == []


@MODES
def test_nor_does_another_typecaster_for_the_same_type(make_database: MakeDatabase, mode: str) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode)
    pid = database.pid()
    database.give_back()

    def take_json_for_something_else() -> None:
        psycopg2.extras.register_default_jsonb(database.raw(), loads=lambda _text: "whatever")
        assert database.fetch("select '{}'::jsonb") == [("whatever",)]
        database.give_back()

    def go_on_after_another() -> list[Any]:
        database.fetch("select 1")
        if mode == "session":
            database.give_back()
        Task(take_json_for_something_else).result()
        return database.answer("select '{}'::jsonb, pg_backend_pid()")

    assert Task(go_on_after_another).result() == [("{}", pid)]


def test_a_cursor_factory_that_was_set_at_connect_time_stays(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    connect = psycopg2.connect

    class Seeing(psycopg2.extensions.cursor):
        def execute(self, query: Any, vars: Any = None) -> None:  # noqa: A002  psycopg2's name
            seen.append(query)
            super().execute(query, vars)

    def see(*args: Any, **kwargs: Any) -> Any:
        connection = connect(*args, **kwargs)
        connection.cursor_factory = Seeing
        return connection

    monkeypatch.setattr(psycopg2, "connect", see)
    database = make_database(MAX_CONNS=1)
    for number in range(3):
        assert Task(database.answer, f"select {number}").result() == [(number,)]
        assert seen[-1] == f"select {number}"


class OwnCursors(psycopg2.extensions.connection):
    """A connection class that makes its cursors in its own way."""

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        return super().cursor(*args, cursor_factory=psycopg2.extras.DictCursor, **kwargs)


@pytest.mark.parametrize(
    "options",
    [
        {"cursor_factory": psycopg2.extras.DictCursor},
        {"cursor_factory": lambda *args, **kwargs: psycopg2.extras.DictCursor(*args, **kwargs)},
        {"connection_factory": OwnCursors},
    ],
    ids=["class", "function", "connection"],
)
def test_whatever_makes_the_cursors_a_role_is_noticed(make_database: MakeDatabase, options: dict[str, Any]) -> None:
    database = make_database(MAX_CONNS=1, **options)
    for _ in range(2):
        database.fetch("set role app")
        database.give_back()
        (row,) = Task(database.answer, "select current_user::text as who").result()
        assert row["who"] == database.role  # type: ignore[call-overload]


def test_a_session_that_psycopg2_resets_gets_its_role_back(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, assume_role="app")
    database.raw().reset()
    database.give_back()
    assert Task(database.answer, "select current_user::text").result() == [("app",)]
