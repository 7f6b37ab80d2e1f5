"""Processes that share a role's limit give each other a fair share of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.database import Database
from tests.support.drivers import driver
from tests.support.fleet_worker import Worker
from tests.support.waiting import eventually
from tests.support.watcher import Watcher

from .conftest import MakeDatabase

LIMIT = 6


@pytest.fixture
def database(make_database: MakeDatabase) -> Iterator[Database]:
    """A role with a limit that one process could use up."""
    database = make_database(MAX_CONNS=LIMIT, role_limit=LIMIT, CONN_WAIT_TIMEOUT=60)
    with Watcher(database.server, database.role, interval=0.02) as watcher:
        yield database
        assert watcher.seen().most <= LIMIT


@pytest.fixture
def workers(database: Database, tmp_path: Path) -> Iterator[list[Worker]]:
    """Four processes that share it; at the end, none must have failed."""
    with started(database, tmp_path, 4) as workers:
        yield workers


@contextlib.contextmanager
def started(database: Database, tmp_path: Path, count: int, *, tasks: int = 10) -> Iterator[list[Worker]]:
    """Have processes that share a role's limit; at the end, none must have failed."""
    workers = [Worker(database, tmp_path, f"worker{number}", tasks=tasks) for number in range(count)]
    try:
        yield workers
        (tmp_path / "end").touch()
        for worker in workers:
            output = worker.output()
            assert output.endswith("queries\n"), output
    finally:
        for worker in workers:
            worker.process.kill()
            worker.process.wait()


def sizes(workers: list[Worker]) -> list[int]:
    return [worker.sessions() for worker in workers]


def await_shares(workers: list[Worker], total: int) -> None:
    """Wait until these workers have so many sessions together, and none has two more than another."""

    def are_fair() -> bool:
        found = sizes(workers)
        return sum(found) == total and max(found) - min(found) <= 1

    eventually(are_fair, f"{total} sessions in fair shares")


def test_each_gets_its_share_and_a_lone_one_all_of_it(workers: list[Worker]) -> None:
    await_shares(workers, LIMIT - 1)
    for worker in workers[1:]:
        worker.make_idle()
    eventually(lambda: sizes(workers) == [LIMIT - 1, 0, 0, 0], "all for the only one that needs any")
    for worker in workers[1:]:
        worker.make_busy()
    await_shares(workers, LIMIT - 1)


def test_what_a_killed_one_had_goes_to_the_others(workers: list[Worker]) -> None:
    await_shares(workers, LIMIT - 1)
    killed = workers.pop()
    killed.process.kill()
    killed.process.wait()
    await_shares(workers, LIMIT - 1)
    assert killed.sessions() == 0


def test_a_limit_that_is_changed_holds_at_once(database: Database, workers: list[Worker]) -> None:
    await_shares(workers, LIMIT - 1)
    database.server.query(f"ALTER ROLE {database.role} CONNECTION LIMIT 5")
    await_shares(workers, 4)
    database.server.query(f"ALTER ROLE {database.role} CONNECTION LIMIT {LIMIT}")
    await_shares(workers, LIMIT - 1)


def test_there_is_always_room_for_one_more_who_is_no_worker(database: Database, workers: list[Worker]) -> None:
    await_shares(workers, LIMIT - 1)
    stranger = driver.connect(**{**database.server.dsn, "user": database.role})
    await_shares(workers, LIMIT - 2)
    stranger.close()
    await_shares(workers, LIMIT - 1)


def test_a_late_one_comes_in_where_an_assumed_role_hides_how_old_sessions_are(
    make_database: MakeDatabase, tmp_path: Path
) -> None:
    database = make_database(MAX_CONNS=8, role_limit=12, CONN_WAIT_TIMEOUT=60, assume_role="without_rights")
    database.server.query(f"CREATE ROLE without_rights ROLE {database.role}")
    try:
        with started(database, tmp_path, 2) as workers:
            await_shares(workers, 12)
            workers.append(Worker(database, tmp_path, "worker2"))
            await_shares(workers, 12)
    finally:
        database.server.query("DROP ROLE without_rights")


def test_a_late_one_comes_in_where_all_have_just_what_they_may(make_database: MakeDatabase, tmp_path: Path) -> None:
    database = make_database(MAX_CONNS=6, role_limit=12, CONN_WAIT_TIMEOUT=60)
    with started(database, tmp_path, 2) as workers:
        await_shares(workers, 12)
        workers.append(Worker(database, tmp_path, "worker2"))
        await_shares(workers, 12)


@pytest.mark.parametrize("are_idle", [False, True])
def test_nobody_is_kept_out_by_processes_with_one_connection_each(
    make_database: MakeDatabase, tmp_path: Path, *, are_idle: bool
) -> None:
    database = make_database(MAX_CONNS=3, role_limit=3, CONN_WAIT_TIMEOUT=60)
    with started(database, tmp_path, 3, tasks=1) as workers:
        eventually(lambda: sizes(workers) == [1, 1, 1], "one connection each")
        if are_idle:
            for worker in workers:
                worker.make_idle()
        workers.append(Worker(database, tmp_path, "worker3", tasks=1))
        eventually(lambda: workers[-1].sessions() == 1, "the last one has come in")
