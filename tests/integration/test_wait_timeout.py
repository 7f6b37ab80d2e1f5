"""``wait_timeout``: how long the code of a block waits for a connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest
from asgiref.sync import sync_to_async
from django.utils.connection import ConnectionDoesNotExist

from django_geventpool.errors import PoolTimeout
from django_geventpool.pool import time_limits
from django_geventpool.pool.time_limits import TimeLimits
from django_geventpool.utils import wait_timeout
from tests.support.database import Database

from .conftest import MakeDatabase


@pytest.fixture
def full(make_database: MakeDatabase) -> Iterator[Database]:
    """A database whose only connection is in use."""
    database = make_database(MAX_CONNS=1, CONN_WAIT_TIMEOUT=60)
    database.answer("select 1")
    pool = database.pool
    connection = pool.getconn()
    yield database
    pool.putconn(connection)


def test_a_query_waits_for_as_long_as_its_block_says(full: Database) -> None:
    with wait_timeout(full.alias, 0.05), pytest.raises(PoolTimeout, match=r"within 0\.05 s \(wait_timeout\)"):
        full.answer("select 1")
    with wait_timeout(full.alias, 0), pytest.raises(PoolTimeout, match=r"within 0 s \(wait_timeout\)"):
        full.answer("select 1")


def test_a_query_waits_no_longer_than_the_task_may_run(full: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = TimeLimits(time.monotonic(), None, 0.2)
    monkeypatch.setattr(time_limits, "current", lambda: limits)
    with wait_timeout(full.alias, 30), pytest.raises(PoolTimeout, match=r"task's hard time limit of 0\.2 s"):
        full.answer("select 1")


@pytest.mark.frameworks("threads")
def test_it_goes_with_the_context_of_an_asyncio_task(full: Database) -> None:
    async def wait() -> None:
        with wait_timeout(full.alias, 0.05):
            await sync_to_async(full.answer)("select 1")

    with pytest.raises(PoolTimeout, match=r"\(wait_timeout\)"):
        asyncio.run(wait())


def test_an_unknown_alias_is_named(make_database: MakeDatabase) -> None:
    known = make_database().alias
    with pytest.raises(ConnectionDoesNotExist, match=f"DATABASES has no 'defualt', but .*\"{known}\""):
        wait_timeout("defualt", 2)


@pytest.mark.parametrize("seconds", [-1, "2", True])
def test_anything_but_seconds_is_refused(make_database: MakeDatabase, seconds: float) -> None:
    with pytest.raises(ValueError, match=r"wait_timeout must be a number of seconds \(0 fails at once"):
        wait_timeout(make_database().alias, seconds)
