"""Children that were forked in C, as uWSGI's are: no fork hook runs, and whatever they do first is the first notice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import close_old_connections

from tests.support.database import Database
from tests.support.derived_engines import Base, engine_of
from tests.support.drivers import driver
from tests.support.forks import fork_in_c, in_child
from tests.support.tasks import Task
from tests.support.waiting import eventually

from .conftest import MakeDatabase

MODES = pytest.mark.parametrize("mode", ["session", "transaction"])


def query(database: Database) -> int:
    return database.pid()


def begin_a_request(database: Database) -> int:
    close_old_connections()
    return database.pid()


def roll_back(database: Database) -> int:
    database.connection.rollback()
    return database.pid()


def use_the_wrapper_after_another_task(database: Database) -> int:
    Task(database.answer, "select 1").result()
    return database.pid()


@MODES
@pytest.mark.parametrize("act", [query, begin_a_request, roll_back, use_the_wrapper_after_another_task])
def test_a_connection_in_use_stays_the_parents(
    make_database: MakeDatabase, mode: str, act: Callable[[Database], int]
) -> None:
    settings = {"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True}
    database = make_database(MAX_CONNS=2, role_limit=4, POOL_MODE=mode, settings=settings)
    database.connection.ensure_connection()
    pid = database.pid()
    assert in_child(lambda: act(database), fork=fork_in_c) != pid
    assert database.pid() == pid
    database.give_back()
    eventually(lambda: database.count() == 1, "the child's connections gone")
    database.assert_whole()


def test_a_transaction_by_hand_goes_on_in_the_parent(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, role_limit=2)
    database.connection.set_autocommit(False)
    database.fetch("create temp table mine (a int) on commit drop")
    in_child(database.connection.rollback, fork=fork_in_c)
    assert database.fetch("select count(*) from mine") == [(0,)]
    database.connection.rollback()
    database.connection.set_autocommit(True)
    database.give_back()
    database.assert_whole()


def test_the_drivers_connection_of_the_parent_is_of_no_use(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, role_limit=2)
    pid, raw = database.pid(), database.raw()

    def stray() -> str:
        try:
            raw.cursor().execute("select 'stray'")
        except driver.Error:
            return "refused"
        return "executed"

    assert in_child(stray, fork=fork_in_c) == "refused"
    assert database.sessions("query like '%stray%'") == []
    assert database.pid() == pid
    database.give_back()
    database.assert_whole()


@MODES
def test_a_copy_of_a_wrapper_goes_on_with_a_connection_of_its_own(make_database: MakeDatabase, mode: str) -> None:
    database = make_database(MAX_CONNS=2, role_limit=4, POOL_MODE=mode)
    copied = database.connection.copy()

    def pid() -> Any:
        with copied.cursor() as cursor:
            cursor.execute("select pg_backend_pid()")
            return cursor.fetchone()[0]

    copied.ensure_connection()
    before = pid()
    assert in_child(pid, fork=fork_in_c) != before
    assert in_child(pid) != before
    assert pid() == before
    copied.close()
    eventually(lambda: database.count() == 1, "the children's connections gone")
    database.assert_whole()


class Failing(Base):
    """An engine that can't close."""

    fails = False

    def close(self) -> None:
        super().close()
        if self.fails:
            raise ValueError("not like this")


@pytest.mark.parametrize("kind", ["in Python", "in C"])
def test_an_engine_that_fails_to_close_fails_no_other(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    failing = make_database(MAX_CONNS=1, role_limit=2, settings={"ENGINE": engine_of(Failing)})
    other = make_database(MAX_CONNS=1, role_limit=2)
    pids = failing.pid(), other.pid()
    monkeypatch.setattr(Failing, "fails", True)

    def child() -> list[int]:
        return [other.pid(), failing.pid()]

    assert not set(in_child(child, fork=fork_in_c) if kind == "in C" else in_child(child)) & set(pids)
    monkeypatch.undo()
    assert (failing.pid(), other.pid()) == pids
    failing.give_back()
    other.give_back()


@pytest.mark.parametrize("kind", ["in Python", "in C"])
def test_without_a_pool_it_is_as_with_djangos_own_engine(make_database: MakeDatabase, kind: str) -> None:
    """It does nothing at a fork: above all, it ends no session of the parent's."""
    database = make_database(role_limit=4, pool=False)
    pid = database.pid()
    in_child(lambda: None, **({"fork": fork_in_c} if kind == "in C" else {}))
    assert database.pid() == pid
    database.give_back()
