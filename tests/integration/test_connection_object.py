"""A holder's changes of the driver's connection object: notifications, factories, typecasters, adapters."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.drivers import DRIVER
from tests.support.waiting import eventually

from .conftest import MODES, MakeDatabase


def news(connection: Any) -> list[Any] | None:
    """Return the notifications that a connection keeps; None for drivers that keep none, as psycopg before 3.2.4."""
    kept = connection.notifies if DRIVER == "psycopg2" else getattr(connection, "_notifies_backlog", None)
    return None if kept is None else list(kept)


@MODES
@pytest.mark.parametrize("discard", [False, True])
def test_notifications_do_not_reach_the_next_holder(make_database: MakeDatabase, mode: str, discard: bool) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode, ON_RELEASE_DISCARD_ALL=discard)
    connection = database.raw()
    database.fetch("listen news")
    for number in range(20):
        database.fetch("select pg_notify('news', %s)", str(number))
    database.fetch("select 1")
    received = news(connection)
    assert received is None or len(received) == 20
    database.give_back()
    assert database.raw() is connection
    assert not news(connection)
    database.fetch("unlisten news")


def test_the_pool_stays_whole_whatever_was_left(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=2)
    connection = database.raw()
    connection.cursor().execute("listen news")
    database.give_back()
    database.answer("notify news")
    eventually(lambda: database.stats().idle >= 1, "the connection back")
    database.assert_whole()
