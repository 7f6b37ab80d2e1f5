"""What is sent before a statement of a task that has a time limit."""

from __future__ import annotations

import re
import time

import pytest

from django_geventpool.drivers.statement_limit import StatementLimit, without_limit
from django_geventpool.pool import time_limits
from django_geventpool.pool.time_limits import TimeLimits

IDLE, IN_TRANSACTION, FAILED = 0, 2, 3


@pytest.fixture(autouse=True)
def limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the test a task that may run for a hundred seconds."""
    limits = TimeLimits(time.monotonic(), None, 100)
    monkeypatch.setattr(time_limits, "current", lambda: limits)


@pytest.mark.parametrize(
    "statement",
    [
        "select 1",
        "  SELECT 1",
        "(select 1) union select 2",
        "/* from a * task */ -- and\n select 1",
        "with a as (select 1) delete from b",
        "insert into a values (1) on conflict do nothing",
        "Update a set b = 1",
        "values (1)",
    ],
)
def test_what_may_take_long_is_limited(statement: str) -> None:
    sql = StatementLimit("0").sql_before(statement, IDLE)
    assert re.fullmatch(r"SET LOCAL statement_timeout = 99\d{3};\n", sql)
    assert without_limit(f"{sql}{statement}".encode()) == statement.encode()


@pytest.mark.parametrize(
    "statement", ["vacuum a", "selection", "begin", "savepoint a", "create database b", "call c()", "", "/* select */"]
)
def test_what_may_not_share_a_transaction_is_not(statement: str) -> None:
    assert StatementLimit("0").sql_before(statement, IDLE) == ""


@pytest.mark.parametrize(
    "own",
    [
        "set local statement_timeout = 3",
        "SET STATEMENT_TIMEOUT TO 3",
        "select set_config(%s, '3', true)",
        "update pg_settings set setting = 3",
        "do $$ begin end $$",
        " call c()",
        "EXECUTE d",
    ],
)
def test_a_lower_timeout_is_looked_for_where_the_user_may_have_set_one(own: str) -> None:
    limit = StatementLimit("0")
    limit.sql_before(own, IDLE)
    limit.begin(IDLE, 0)
    sql = limit.sql_before("select 1", IDLE)
    assert "least(99" in sql
    assert without_limit(f"{sql}select 1".encode()) == b"select 1"


def test_a_lower_timeout_is_looked_for_where_the_role_has_one() -> None:
    assert "least(99" in StatementLimit("3s").sql_before("select 1", IDLE)


def test_in_a_transaction_it_is_set_once_and_again_after_what_may_undo_it() -> None:
    limit = StatementLimit("0")
    limit.begin(IDLE, 0)
    assert limit.sql_before("select 1", IN_TRANSACTION)
    limit.begin(IN_TRANSACTION, 0)
    assert limit.sql_before("select 2", IN_TRANSACTION) == ""
    limit.sql_before("rollback to savepoint a", IN_TRANSACTION)
    assert limit.sql_before("select 3", IN_TRANSACTION)
    limit.begin(IDLE, 0)
    assert limit.sql_before("select 4", IN_TRANSACTION)
    limit.begin(IN_TRANSACTION, 1)
    assert limit.sql_before("select 5", IN_TRANSACTION), "the driver has rolled back to a savepoint"


def test_a_failed_transaction_takes_none() -> None:
    assert StatementLimit("0").sql_before("select 1", FAILED) == ""


def test_what_was_sent_without_it_is_shown_whole() -> None:
    assert without_limit(None) is None
    assert without_limit(b"set local statement_timeout = 3;\nselect 1") == b"set local statement_timeout = 3;\nselect 1"


def test_the_longest_limit_is_one_that_the_server_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = TimeLimits(time.monotonic(), None, 10_000_000)
    monkeypatch.setattr(time_limits, "current", lambda: limits)
    (number,) = re.findall(r"\d+", StatementLimit("0").sql_before("select 1", IDLE))
    assert int(number) < 2**31
