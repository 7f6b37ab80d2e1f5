"""Receivers of connection_created set up sessions, reliably: in each mode, whatever others do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import transaction
from django.db.backends.signals import connection_created

from tests.support.database import Database
from tests.support.tasks import Task
from tests.support.waiting import DEADLINE, eventually

from .conftest import MODES, MakeDatabase

Receive = Callable[[Callable[[Any], None]], None]


@pytest.fixture
def receive() -> Iterator[Receive]:
    """Return a function that connects a function of the wrapper as a receiver, for the test."""
    receivers = []

    def connect(function: Callable[[Any], None]) -> None:
        def receiver(connection: Any, **_kwargs: Any) -> None:
            function(connection)

        receivers.append(receiver)
        connection_created.connect(receiver)

    yield connect
    for receiver in receivers:
        connection_created.disconnect(receiver)


def set_user(connection: Any) -> None:
    """Set the session's app.user to that of the wrapper."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('app.user', %s, false)", [getattr(connection, "user", "nobody")])


def user(database: Database) -> str:
    return str(database.fetch("select current_setting('app.user', true)")[0][0])


def is_seen_by_another(database: Database, name: str) -> bool:
    """Return whether a task of another user, which then ends, sees its own setting."""
    database.connection.user = name
    try:
        return user(database) == name
    finally:
        database.give_back()


@MODES
def test_a_receivers_time_zone_stays(make_database: MakeDatabase, receive: Receive, mode: str) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode)

    def set_zone(connection: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET TIME ZONE 'Pacific/Fiji'")

    receive(set_zone)
    for _ in range(2):
        for _ in range(3):
            assert database.fetch("show time zone") == [("Pacific/Fiji",)]
        database.give_back()


@MODES
@pytest.mark.parametrize("discard", [False, True])
def test_a_receivers_settings_hold_for_each_query(
    make_database: MakeDatabase, receive: Receive, mode: str, discard: bool
) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode, ON_RELEASE_DISCARD_ALL=discard)

    def set_timeout(connection: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = '77s'")

    receive(set_timeout)
    for _ in range(2):
        for _ in range(3):
            assert database.fetch("show statement_timeout") == [("77s",)]
        with transaction.atomic(using=database.alias):
            assert database.fetch("show statement_timeout") == [("77s",)]
        database.give_back()


@MODES
@pytest.mark.parametrize("autocommit", [True, False])
def test_no_task_runs_as_another_ones_user(
    make_database: MakeDatabase, receive: Receive, mode: str, autocommit: bool
) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode, settings={"AUTOCOMMIT": autocommit})
    receive(set_user)
    database.connection.user = "anna"
    for _ in range(3):
        assert user(database) == "anna"
        transaction.rollback(using=database.alias)
        assert user(database) == "anna", "what a receiver sets is no part of the transaction"
        transaction.commit(using=database.alias)
        if mode == "session":
            database.give_back()
        assert Task(is_seen_by_another, database, "bert").result()
    database.give_back()
    database.assert_whole()


def test_a_manual_transaction_does_not_end_what_a_receiver_set(make_database: MakeDatabase, receive: Receive) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE="transaction")
    receive(set_user)
    database.connection.user = "anna"
    transaction.set_autocommit(False, using=database.alias)
    transaction.rollback(using=database.alias)
    for _ in range(2):
        assert Task(is_seen_by_another, database, "bert").result()
        assert user(database) == "anna"
        transaction.rollback(using=database.alias)
        assert user(database) == "anna"
        transaction.rollback(using=database.alias)
    transaction.set_autocommit(True, using=database.alias)


def test_the_next_task_on_a_wrapper_finds_nothing_of_the_last_ones_on_any_connection(
    make_database: MakeDatabase, receive: Receive
) -> None:
    """So it is in a pool of threads, where a thread has one wrapper for all of its tasks."""
    database = make_database(MAX_CONNS=2, POOL_MODE="transaction")
    receive(set_user)
    database.connection.user = "anna"
    with _held_by_another(database):
        assert user(database) == "anna"  # On the second connection.
    assert user(database) == "anna"  # On the first.
    database.give_back()
    database.connection.user = "carl"
    assert user(database) == "carl"
    with _held_by_another(database):
        assert user(database) == "carl"
    database.give_back()


class _held_by_another:  # noqa: N801  a context manager
    """Lets another greenlet or thread hold the connection that would be lent next."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.over = threading.Event()

    def __enter__(self) -> None:
        self.task = Task(self._hold)
        eventually(lambda: self.database.stats().in_use == 1, "another to hold a connection")

    def _hold(self) -> None:
        with transaction.atomic(using=self.database.alias):
            self.database.pid()
            assert self.over.wait(DEADLINE)
        self.database.give_back()

    def __exit__(self, *_error: object) -> None:
        self.over.set()
        self.task.result()


@MODES
def test_a_receiver_that_fails_leaves_a_connection_that_nobody_relies_on(
    make_database: MakeDatabase, receive: Receive, mode: str
) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode)
    failing: list[str] = []

    def set_user_and_fail(connection: Any) -> None:
        set_user(connection)
        if failing and failing.pop() == "yes":
            raise LookupError

    receive(set_user_and_fail)
    database.connection.user = "anna"
    assert user(database) == "anna"
    if mode == "session":
        database.give_back()

    def fail() -> None:
        database.connection.user = "bert"
        failing.append("yes")
        with pytest.raises(LookupError):
            user(database)

    Task(fail).result()
    assert user(database) == "anna"
    database.give_back()
    database.assert_whole()


def test_a_copy_of_a_wrapper_has_a_session_of_its_own(make_database: MakeDatabase, receive: Receive) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE="transaction")
    receive(set_user)
    wrapper = database.connection
    wrapper.user = "anna"
    copy = wrapper.copy()
    copy.user = "bert"
    for _ in range(2):
        for each in (wrapper, copy):
            with each.cursor() as cursor:
                cursor.execute("select current_setting('app.user', true)")
                assert cursor.fetchone() == (each.user,)
    copy.close()
