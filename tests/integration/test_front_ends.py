"""Front ends that refuse start-up options, each with its own message: the engine connects without options."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from django.db import OperationalError

from tests.support.database import Database
from tests.support.front_end import FrontEnd
from tests.support.tasks import Task, results
from tests.support.waiting import eventually

from .conftest import MakeDatabase

INTERVAL = "show client_connection_check_interval"
WORDS = [
    "RDS Proxy currently doesn't support command-line options.",
    "unsupported startup parameter: options",
    "no options here",
]


@pytest.fixture
def front_end(make_database: MakeDatabase) -> Iterator[FrontEnd]:
    server = make_database().server
    with FrontEnd(server.host, server.port) as front_end:
        yield front_end


@pytest.fixture
def database(make_database: MakeDatabase, front_end: FrontEnd) -> Database:
    return make_database(MAX_CONNS=3, CONN_WAIT_TIMEOUT=60, settings={"PORT": front_end.port})


@pytest.mark.parametrize("words", WORDS)
def test_who_refuses_options_is_asked_once_more_and_never_again(
    database: Database, front_end: FrontEnd, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "geventpool")
    front_end.refuse_options(words)
    assert database.answer(INTERVAL) == [("0",)]
    assert front_end.starts() == (1, 1)
    database.assert_whole()
    results([Task(database.answer, "select 1") for _ in range(20)])
    assert front_end.starts() == (1, 3)
    said = [record.getMessage() for record in caplog.records if "client_connection_check_interval" in record.message]
    assert len(said) == 1
    assert "CLIENT_CHECK_INTERVAL" in said[0]
    assert words in said[0]


def test_after_a_success_a_refusal_is_a_refusal(
    database: Database, front_end: FrontEnd, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "geventpool")
    assert database.fetch(INTERVAL) == [("2s",)]
    front_end.refuse_options("not today")
    with pytest.raises(OperationalError, match="not today"):
        Task(database.answer, "select 1").result()
    assert front_end.starts() == (2, 0)
    front_end.take_options()
    database.give_back()
    database.assert_whole()
    assert front_end.starts() == (4, 0)
    assert len([record for record in caplog.records if "is still there" in record.getMessage()]) == 1


@pytest.mark.parametrize(
    ("words", "tried"),
    [
        ('password authentication failed for user "x"', (2, 0)),
        ("the database system is starting up", (2, 0)),
        # The second attempt reaches the server, whose message this is.
        ('database "x" does not exist', (1, 1)),
    ],
)
def test_a_wrong_password_is_not_tried_twice(
    database: Database, front_end: FrontEnd, words: str, tried: tuple[int, int]
) -> None:
    front_end.refuse_options(words)
    if tried == (2, 0):
        for _ in range(2):
            with pytest.raises(OperationalError, match=words.split()[0]):
                database.answer("select 1")
    else:
        assert database.answer("select 1") == [(1,)]
    assert front_end.starts() == tried


def test_what_is_refused_both_ways_is_the_servers_own_word(make_database: MakeDatabase, front_end: FrontEnd) -> None:
    database = make_database(MAX_CONNS=1, settings={"PORT": front_end.port, "NAME": "no_such_database"})
    for attempt in (1, 2):
        with pytest.raises(OperationalError, match="no_such_database"):
            database.answer("select 1")
        # The engine has not learned yet whether options are refused.
        assert front_end.starts() == (attempt, attempt)
    eventually(lambda: database.stats().size == 0, "the slot given back")


def test_who_has_refused_is_gone_before_the_next_attempt(database: Database, front_end: FrontEnd) -> None:
    """A server's process that is slow to end still counts."""
    front_end.refuse_options("no options here", hang_up_after=0.7)
    assert database.answer("select 7") == [(7,)]
    assert front_end.starts() == (1, 1)
    assert front_end.early_starts() == 0
    database.give_back()
    database.assert_whole()


def test_the_setting_turns_it_off(make_database: MakeDatabase, front_end: FrontEnd) -> None:
    database = make_database(MAX_CONNS=1, CLIENT_CHECK_INTERVAL=None, settings={"PORT": front_end.port})
    front_end.refuse_options("no options here")
    assert database.answer(INTERVAL) == [("0",)]
    assert front_end.starts() == (0, 1)


def test_the_setting_is_in_seconds(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, CLIENT_CHECK_INTERVAL=0.5)
    assert database.answer(INTERVAL) == [("500ms",)]
