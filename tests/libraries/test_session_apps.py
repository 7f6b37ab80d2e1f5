"""Libraries with state in the session: pinning as the system check advises makes them work."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable, Iterator
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


@pytest.mark.parametrize(
    ("lock", "is_pinned"), [(by_pglock, True), (by_pgware, True), (by_pglocks, True), (by_pglocks, False)]
)
def test_an_advisory_lock_excludes_others_until_its_end(
    make_database: MakeDatabase, lock: Callable[[Database], AbstractContextManager[Any]], is_pinned: bool
) -> None:
    database = make_database(MAX_CONNS=2, POOL_MODE="transaction")

    @contextlib.contextmanager
    def taken() -> Iterator[bool]:
        with pinned(database.alias) if is_pinned else contextlib.nullcontext(), lock(database) as is_mine:
            yield bool(is_mine)

    def is_free() -> bool:
        with taken() as is_mine:
            pass
        database.give_back()
        return is_mine

    with taken() as is_mine:
        assert is_mine
        for number in range(2):
            assert database.fetch("select %s", number) == [(number,)]
            with transaction.atomic(using=database.alias):
                database.pid()
            assert not Task(is_free).result()
    assert Task(is_free).result()
    database.assert_whole()


def test_a_pinned_timeout_is_nobody_elses(make_database: MakeDatabase) -> None:
    import pgactivity

    database = make_database(MAX_CONNS=1, POOL_MODE="transaction")

    def run_long() -> None:
        with pgactivity.timeout(milliseconds=20, using=database.alias):
            database.fetch("select pg_sleep(60)")

    with pinned(database.alias), pytest.raises(OperationalError, match="statement timeout"):
        run_long()
    assert Task(database.answer, "show statement_timeout").result() == [("0",)]


def test_pinned_settings_are_nobody_elses(make_database: MakeDatabase) -> None:
    from django_pg_migration_tools.timeouts import apply_timeouts
    from django_pg_utils.set import pg_set

    database = make_database(MAX_CONNS=2, POOL_MODE="transaction")
    names = ("work_mem", "lock_timeout")
    before = [database.fetch(f"show {name}") for name in names]
    with (
        pinned(database.alias),
        pg_set("work_mem", "77MB", using=database.alias),
        apply_timeouts(using=database.alias, lock_timeout=datetime.timedelta(minutes=1)),
    ):
        for _ in range(2):
            assert [database.fetch(f"show {name}") for name in names] == [[("77MB",)], [("1min",)]]
            assert [Task(database.answer, f"show {name}").result() for name in names] == before
    assert [Task(database.answer, f"show {name}").result() for name in names] == before


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
