"""Libraries with state in the session: they work by default, and with pins as the system check advises otherwise."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.db import OperationalError, transaction
from django.db.backends.signals import connection_created

from django_geventpool.utils import pinned
from tests.support.database import Database
from tests.support.tasks import Task

from .conftest import MODES, MakeDatabase

pytest.importorskip("pglock")


def by_pglock(database: Database) -> AbstractContextManager[Any]:
    import pglock

    return pglock.advisory("door", timeout=0, using=database.alias)


def by_pgware(database: Database) -> AbstractContextManager[Any]:
    from django_pg_utils.locks import advisory_lock

    lock: AbstractContextManager[Any] = advisory_lock("door", wait=False, using=database.alias)
    return lock


def by_pglocks(database: Database) -> AbstractContextManager[Any]:
    from django_pglocks import advisory_lock

    lock: AbstractContextManager[Any] = advisory_lock("door", wait=False, using=database.alias)
    return lock


#: With the default the session stays by itself; otherwise as the system check advises.
POLICIES = pytest.mark.parametrize("policy", ["pin", "ignore"])
LOCKS = pytest.mark.parametrize("lock", [by_pglock, by_pgware, by_pglocks])


def kept(database: Database, policy: str) -> AbstractContextManager[Any]:
    """Return what keeps the session for a block."""
    return pinned(database.alias) if policy == "ignore" else contextlib.nullcontext()


@POLICIES
@LOCKS
def test_an_advisory_lock_excludes_others_until_its_end(
    make_database: MakeDatabase, lock: Callable[[Database], AbstractContextManager[Any]], policy: str
) -> None:
    database = make_database(MAX_CONNS=2, POOL_MODE="transaction", SESSION_STATE=policy)

    def is_free() -> bool:
        with kept(database, policy), lock(database) as is_mine:
            pass
        assert database.stats().in_use == in_use, "the connection goes back without give_back"
        return bool(is_mine)

    in_use = 1
    with kept(database, policy), lock(database) as is_mine:
        assert is_mine
        for number in range(2):
            assert database.fetch("select %s", number) == [(number,)]
            with transaction.atomic(using=database.alias):
                database.pid()
            assert not Task(is_free).result()
    in_use = 0
    assert database.stats().in_use == 0
    assert Task(is_free).result()
    database.assert_whole()


def test_a_session_that_is_not_kept_loses_its_lock(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE="transaction", SESSION_STATE="ignore")

    def is_free() -> bool:
        with by_pglock(database) as is_mine:
            return bool(is_mine)

    with by_pglock(database) as is_mine:
        assert is_mine
        assert Task(is_free).result(), "the system check need not warn"


@POLICIES
def test_a_timeout_is_nobody_elses(make_database: MakeDatabase, policy: str) -> None:
    import pgactivity

    database = make_database(MAX_CONNS=1, POOL_MODE="transaction", SESSION_STATE=policy)

    def run_long() -> None:
        with pgactivity.timeout(milliseconds=20, using=database.alias):
            database.fetch("select pg_sleep(60)")

    with kept(database, policy), pytest.raises(OperationalError, match="statement timeout"):
        run_long()
    assert database.stats().in_use == 0
    assert Task(database.answer, "show statement_timeout").result() == [("0",)]


@POLICIES
def test_settings_are_nobody_elses(make_database: MakeDatabase, policy: str) -> None:
    from django_pg_migration_tools.timeouts import apply_timeouts
    from django_pg_utils.set import pg_set

    database = make_database(MAX_CONNS=2, POOL_MODE="transaction", SESSION_STATE=policy)
    names = ("work_mem", "lock_timeout")
    before = [database.fetch(f"show {name}") for name in names]
    with (
        kept(database, policy),
        pg_set("work_mem", "77MB", using=database.alias),
        apply_timeouts(using=database.alias, lock_timeout=datetime.timedelta(minutes=1)),
    ):
        for _ in range(2):
            assert [database.fetch(f"show {name}") for name in names] == [[("77MB",)], [("1min",)]]
            assert [Task(database.answer, f"show {name}").result() for name in names] == before
    assert [Task(database.answer, f"show {name}").result() for name in names] == before


def test_a_setting_that_is_set_back_needs_the_session_no_longer(make_database: MakeDatabase) -> None:
    from django_pg_migration_tools.timeouts import apply_timeouts

    database = make_database(MAX_CONNS=1, POOL_MODE="transaction")
    with apply_timeouts(using=database.alias, lock_timeout=datetime.timedelta(minutes=1)):
        assert database.fetch("show lock_timeout") == [("1min",)]
        assert database.stats().in_use == 1
    assert database.stats().in_use == 0


@MODES
@pytest.mark.parametrize("discard", [True, False])
def test_a_path_that_a_receiver_makes_longer_needs_a_cleared_session(
    make_database: MakeDatabase, mode: str, discard: bool
) -> None:
    from django_dramatiq_pg.signals import add_dramatiq_schema

    database = make_database(MAX_CONNS=1, POOL_MODE=mode, ON_RELEASE_DISCARD_ALL=discard)
    connection_created.connect(add_dramatiq_schema)
    try:
        paths = [Task(database.answer, "show search_path").result()[0][0] for _ in range(3)]
    finally:
        connection_created.disconnect(add_dramatiq_schema)
    assert [path.count("dramatiq") for path in paths] == ([1, 1, 1] if discard else [1, 2, 3])
