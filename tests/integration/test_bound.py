"""Many greenlets or threads share a few connections."""

from __future__ import annotations

import contextlib
import re
import time

import pytest
from django.db import OperationalError

from django_geventpool import pools
from django_geventpool.errors import PoolClosed, PoolTimeout
from tests.support.tasks import Task, results
from tests.support.waiting import eventually
from tests.support.watcher import Watcher

from .conftest import MakeDatabase

#: A role's limit above 5 connections. At a full server, some would be closed for other processes, and opened again.
WITH_ROOM = 6


def test_200_at_once_never_more_than_max_conns_and_all_succeed(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=5, CONN_WAIT_TIMEOUT=60, role_limit=WITH_ROOM)
    with Watcher(database.server, database.role) as watcher:
        tasks = [Task(database.answer, "select %s::int, pg_sleep(0.02)::text", number) for number in range(200)]
        answers = [rows[0][0] for rows in results(tasks)]
        seen = watcher.seen()
    assert answers == list(range(200))
    assert 1 < seen.most <= 5
    assert seen.sessions <= 5, "connections were not reused"
    database.assert_whole()


def test_100_half_second_queries_through_20_connections_do_not_block_each_other(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=20, CONN_WAIT_TIMEOUT=60)
    start = time.monotonic()
    results([Task(database.answer, "select pg_sleep(0.5)::text") for _ in range(100)])
    # One after the other, as when psycopg2 blocks the hub, they would take 50 s.
    assert time.monotonic() - start < 25


def test_5000_short_checkouts_open_at_most_max_conns_connections_and_none_stays_in_use(
    make_database: MakeDatabase,
) -> None:
    database = make_database(MAX_CONNS=5, CONN_WAIT_TIMEOUT=60, role_limit=WITH_ROOM)

    def run(number: int) -> None:
        for _ in range(50):
            assert database.answer("select %s::int", number) == [(number,)]

    with Watcher(database.server, database.role) as watcher:
        results([Task(run, number) for number in range(100)])
        seen = watcher.seen()
    assert seen.sessions <= 5
    assert database.stats().connects <= 5
    assert database.stats().in_use == 0
    database.assert_whole()


def test_the_bound_holds_when_the_pool_is_closed_and_made_anew_under_load(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=3, CONN_WAIT_TIMEOUT=60)

    def run(number: int) -> None:
        for _ in range(10):
            with contextlib.suppress(PoolClosed):  # The task was waiting.
                assert database.answer("select %s::int, pg_sleep(0.01)::text", number) == [(number, "")]

    with Watcher(database.server, database.role) as watcher:
        tasks = [Task(run, number) for number in range(30)]
        closed = 0
        while not all(task.ended for task in tasks):
            if database.stats().in_use == 3:
                pools.close(database.alias)
                closed += 1
            time.sleep(0.01)
        results(tasks)
        seen = watcher.seen()
    assert closed > 3
    assert seen.most <= 3
    database.assert_whole()


def test_first_come_first_served(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    database.fetch("select 1")
    served: list[int] = []

    def run(number: int) -> None:
        database.fetch("select 1")
        served.append(number)
        database.give_back()

    tasks = []
    for number in range(20):
        tasks.append(Task(run, number))
        eventually(lambda count=number + 1: database.stats().waiting == count, "the task to wait")
    database.give_back()
    results(tasks)
    assert served == list(range(20))


def test_a_full_pool_raises_pool_timeout_with_its_numbers_after_conn_wait_timeout(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, CONN_WAIT_TIMEOUT=0.5)
    database.fetch("select 1")

    def run() -> float:
        start = time.monotonic()
        with pytest.raises(PoolTimeout) as caught:
            database.fetch("select 1")
        assert isinstance(caught.value, OperationalError)
        message = str(caught.value)
        assert f'"{database.alias}"' in message
        assert "within 0.5 s (CONN_WAIT_TIMEOUT)" in message
        assert re.search("limit 1, in use 1, idle 0, waiting [01], longest holder .+ for [0-9.]+ s", message), message
        return time.monotonic() - start

    assert Task(run).result() >= 0.5
    assert database.stats().waiting == 0
    database.give_back()
    database.assert_whole()


def test_conn_wait_timeout_0_fails_at_once_when_the_pool_is_full(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, CONN_WAIT_TIMEOUT=0)
    database.fetch("select 1")

    def run() -> float:
        start = time.monotonic()
        with pytest.raises(PoolTimeout):
            database.fetch("select 1")
        return time.monotonic() - start

    assert Task(run).result() < 5
    database.give_back()
    assert Task(database.answer, "select 7").result() == [(7,)]


def test_conn_wait_timeout_none_waits_as_long_as_it_takes(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, CONN_WAIT_TIMEOUT=None)
    database.fetch("select 1")
    task = Task(database.answer, "select 7")
    eventually(lambda: database.stats().waiting == 1, "the task to wait")
    database.fetch("select pg_sleep(1)")
    assert not task.ended
    database.give_back()
    assert task.result() == [(7,)]
