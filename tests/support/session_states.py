"""Statements that leave something in the session, one of each kind; and what tests ask about it."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tests.support.database import Database
from tests.support.tasks import Task
from tests.support.waiting import eventually

LOCKS = "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()"
#: By kind: what makes it, what undoes it, and what the server says of it with it and without it.
STATES: dict[str, tuple[str, str, str, Any, Any]] = {
    "setting": (
        "SET statement_timeout = '77s'",
        "RESET statement_timeout",
        "select setting from pg_settings where name = 'statement_timeout'",
        "77000",
        "0",
    ),
    "setting by a function": (
        "select set_config('statement_timeout', '77s', false)",
        "set statement_timeout to default",
        "select current_setting('statement_timeout')",
        "77s",
        "0",
    ),
    "listen": ('LISTEN "Door"', 'UNLISTEN "Door"', "select count(*) from pg_listening_channels()", 1, 0),
    "listen to all": ("listen a; listen b", "unlisten *", "select count(*) from pg_listening_channels()", 2, 0),
    "advisory_lock": ("select pg_advisory_lock(%d)", "select pg_advisory_unlock(%d)", LOCKS, 1, 0),
    "advisory_lock that is tried": (
        "select pg_try_advisory_lock_shared(%d)",
        "select pg_advisory_unlock_all()",
        LOCKS,
        1,
        0,
    ),
    "temporary_table": (
        "CREATE TEMP TABLE kept (n int)",
        "DROP TABLE kept",
        "select to_regclass('pg_temp.kept')::text",
        "kept",
        None,
    ),
    "prepared_statement": (
        "PREPARE one AS SELECT 1",
        "DEALLOCATE one",
        "select count(*) from pg_prepared_statements where name = 'one'",
        1,
        0,
    ),
    "cursor_with_hold": (
        "DECLARE kept CURSOR WITH HOLD FOR SELECT 1",
        "CLOSE kept",
        "select count(*) from pg_cursors where name = 'kept'",
        1,
        0,
    ),
}
KINDS = pytest.mark.parametrize("name", STATES)


def state(name: str) -> tuple[str, str, str, Any, Any]:
    """Return the entry of STATES, with advisory locks of its own, as the server is shared."""
    number = abs(hash(name)) % 1_000_000
    made, undone, look, with_it, without = STATES[name]
    return made.replace("%d", str(number)), undone.replace("%d", str(number)), look, with_it, without


def is_held(database: Database) -> bool:
    return database.stats().in_use == 1


def value(database: Database, sql: str) -> Any:
    return database.fetch(sql)[0][0]


def next_value(database: Database, sql: str) -> Any:
    """Return the answer that another greenlet or thread gets."""
    return Task(database.answer, sql).result()[0][0]


def told(caplog: pytest.LogCaptureFixture, count: int) -> list[str]:
    """Return what the logger of sessions has said, which comes from another greenlet or thread."""

    def messages() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.name == "geventpool.session"]

    eventually(lambda: len(messages()) >= count, f"{count} messages")
    assert len(messages()) == count
    assert all(record.levelno == logging.WARNING for record in caplog.records if record.name == "geventpool.session")
    return messages()
