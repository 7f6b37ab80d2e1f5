"""Tasks in the main thread of a prefork child that use the ORM from coroutines."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from asgiref.sync import async_to_sync, sync_to_async

from servers.postgres_address import Postgres
from tests.support.afterwards import whole_afterwards
from tests.support.database import Database
from tests.support.observer import Observer
from tests.testapp.models import Item

pytestmark = pytest.mark.frameworks("threads")

#: One more task than there are connections.
TASKS = 5


@pytest.fixture(params=["session", "transaction"])
def database(request: pytest.FixtureRequest, postgres: Postgres, observer: Observer) -> Iterator[Database]:
    """An alias that must be whole after the test."""
    with whole_afterwards(postgres, observer, MAX_CONNS=4, POOL_MODE=request.param) as database:
        yield database


def test_coroutines_that_query_themselves(database: Database, schema: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """asgiref keeps a wrapper for each of asyncio's tasks, which nothing closes."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")

    async def query() -> int:
        count = Item.objects.using(database.alias).filter(name="nobody").count()
        await asyncio.sleep(0)
        return count

    async def gather() -> list[int]:
        return await asyncio.gather(query(), query())

    for _ in range(TASKS):
        assert asyncio.run(gather()) == [0, 0]
        database.give_back()  # As Celery does at the end of a task.


def test_the_async_orm(database: Database, schema: None) -> None:
    for _ in range(TASKS):
        assert asyncio.run(_gather(database)) == [0, 0, 0]
        database.give_back()
    # asgiref runs all of them in one thread, which stays.
    assert database.stats().in_use <= 1
    assert database.answer("select 7") == [(7,)]
    asyncio.run(sync_to_async(database.give_back)())


def test_the_async_orm_under_async_to_sync(database: Database, schema: None) -> None:
    for _ in range(TASKS):
        assert async_to_sync(_gather)(database) == [0, 0, 0]
        database.give_back()


async def _gather(database: Database) -> list[int]:
    nobodies = Item.objects.using(database.alias).filter(name="nobody")
    return await asyncio.gather(nobodies.acount(), nobodies.acount(), nobodies.acount())
