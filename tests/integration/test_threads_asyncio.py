"""Tasks of a prefork child, in its main thread, that use the ORM from coroutines."""

from __future__ import annotations

import asyncio

import pytest
from asgiref.sync import async_to_sync

from tests.support.database import Database
from tests.testapp.models import Item

from .conftest import MODES, MakeDatabase

#: As many tasks as there are connections, and one more.
TASKS = 5


@MODES
def test_coroutines_that_query_themselves(
    make_database: MakeDatabase, schema: None, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """asgiref keeps a wrapper for each of asyncio's tasks, and nobody closes those."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    database = make_database(CONN_WAIT_TIMEOUT=2, POOL_MODE=mode)

    async def query() -> int:
        count = Item.objects.using(database.alias).filter(name="nobody").count()
        await asyncio.sleep(0)
        return count

    async def gather() -> list[int]:
        return await asyncio.gather(query(), query())

    for _ in range(TASKS):
        assert asyncio.run(gather()) == [0, 0]
        database.give_back()  # As Celery does at the end of a task.
    database.assert_whole()


@MODES
def test_the_async_orm(make_database: MakeDatabase, schema: None, mode: str) -> None:
    database = make_database(CONN_WAIT_TIMEOUT=2, POOL_MODE=mode)
    for _ in range(TASKS):
        assert asyncio.run(_gather(database)) == [0, 0, 0]
        database.give_back()
    # asgiref has one thread for all of them, which stays.
    assert database.stats().in_use <= 1
    assert database.answer("select 7") == [(7,)]


@MODES
def test_the_async_orm_under_async_to_sync(make_database: MakeDatabase, schema: None, mode: str) -> None:
    database = make_database(CONN_WAIT_TIMEOUT=2, POOL_MODE=mode)
    for _ in range(TASKS):
        assert async_to_sync(_gather)(database) == [0, 0, 0]
        database.give_back()
    database.assert_whole()


async def _gather(database: Database) -> list[int]:
    nobodies = Item.objects.using(database.alias).filter(name="nobody")
    return await asyncio.gather(nobodies.acount(), nobodies.acount(), nobodies.acount())
