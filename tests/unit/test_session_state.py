"""What SQL may change in its session, recognised by its text."""

from __future__ import annotations

import time

import pytest

from django_geventpool.drivers.session_state import (
    CHARACTERISTICS,
    CURSORS,
    IDENTITY,
    SessionState,
    changes_of,
    reset_statement,
)

ANY = IDENTITY | CHARACTERISTICS


@pytest.mark.parametrize(
    ("sql", "changes"),
    [
        ("select 1", 0),
        ('UPDATE "auth_user" SET "role" = %s WHERE "id" = %s', 0),
        ("update users set role = 'x'", 0),
        ("set local role x", 0),
        ("begin; set /* here */ local role x; commit", 0),
        ("set transaction isolation level serializable", 0),
        ("set app.role = 'x'", 0),
        ("set app.current_role = 'x'", 0),
        ("SELECT set_config('TimeZone', %s, false)", 0),
        ("reset all", 0),
        ("SET ROLE x", IDENTITY),
        (b"set role x", IDENTITY),
        ("select 1; -- so\n reset role", IDENTITY),
        ("/* * a comment */ set session authorization x", IDENTITY),
        ("discard all", IDENTITY),
        ('set u&"r\\006fle" = x', ANY),
        ("select set_config(%s, %s, false)", ANY),
        ("select \"set_config\" ('role', 'x', false)", IDENTITY),
        ("prepare p as select set_config('role', $1, false)", IDENTITY),
        ("execute p", ANY),
        ("call p()", ANY),
        ("set session characteristics as transaction read only", CHARACTERISTICS),
        ("set default_transaction_isolation = 'serializable'", CHARACTERISTICS),
        ("update pg_settings set setting = 'x' where name = %s", ANY),
        ("declare c cursor with hold for select 1", CURSORS),
        ("declare c cursor for select 1", 0),
        ("insert into x values (1);" + " " * 5000 + "set role x", IDENTITY),
    ],
)
def test_what_sql_changes(sql: str | bytes, changes: int) -> None:
    assert changes_of(sql) == changes
    session = SessionState()
    session.note(sql)
    session.note(sql)
    assert session.changes == changes


def test_everything_is_put_back_in_one_string() -> None:
    assert reset_statement(0) == ""
    assert reset_statement(CURSORS) == "CLOSE ALL"
    assert reset_statement(ANY | CURSORS).count(";") == 5


@pytest.mark.parametrize("data", ["; /* ", ";--", "; set /*", "';' set_config "])
def test_data_that_looks_like_commands_takes_no_long_time(data: str) -> None:
    began = time.process_time()
    changes_of(f"insert into x values ('{data * 50_000}')")
    assert time.process_time() - began < 5
