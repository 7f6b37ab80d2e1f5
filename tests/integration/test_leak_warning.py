"""LEAK_WARNING_AFTER: connections that are held for long are reported."""

from __future__ import annotations

import pytest

from django_geventpool.pool import holder
from tests.support.tasks import Task
from tests.support.waiting import eventually

from .conftest import MakeDatabase


def warnings_of(caplog: pytest.LogCaptureFixture, alias: str) -> list[str]:
    messages = [record.getMessage() for record in caplog.records]
    return [message for message in messages if alias in message and "LEAK_WARNING_AFTER" in message]


def test_a_long_held_connection_is_reported_once_with_its_task_and_where_it_was_taken(
    make_database: MakeDatabase, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holder, "describe", lambda: "task shop.pay[4711]")
    database = make_database(MAX_CONNS=2, LEAK_WARNING_AFTER=0.2)

    def take_it_here() -> None:
        database.fetch("select 1")

    take_it_here()
    (warning,) = eventually(lambda: warnings_of(caplog, database.alias), "a warning with no traffic")
    assert "task shop.pay[4711]" in warning
    assert "0.2 s" in warning
    assert "take_it_here" in warning
    # A second holder is reported after the first would have been for a second time.
    Task(database.fetch, "select pg_sleep(1)").result()
    assert len(warnings_of(caplog, database.alias)) == 2
    database.give_back()


def test_a_connection_given_back_in_time_and_one_without_the_option_are_not_reported(
    make_database: MakeDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    silent = make_database(MAX_CONNS=1)
    quick = make_database(MAX_CONNS=1, LEAK_WARNING_AFTER=1)
    slow = make_database(MAX_CONNS=1, LEAK_WARNING_AFTER=1)
    silent.fetch("select 1")
    for _ in range(20):
        quick.answer("select 1")
    slow.fetch("select 1")
    eventually(lambda: warnings_of(caplog, slow.alias), "the warning of the slow one")
    assert warnings_of(caplog, quick.alias) == []
    assert warnings_of(caplog, silent.alias) == []
