"""A look at the session list over an idle connection that was lost in silence: nobody ever answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from django_geventpool.pool import upkeep
from django_geventpool.pool.fleet import policy
from servers.postgres_address import Postgres
from servers.proxy import Proxy
from tests.support.database import Database
from tests.support.waiting import eventually

from .conftest import MakeDatabase


@pytest.fixture
def proxy(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    monkeypatch.setattr(policy, "LONE_INTERVAL", 0.5)
    with Proxy(postgres.host, postgres.port) as proxy:
        yield proxy


def make(make_database: MakeDatabase, proxy: Proxy, limit: int) -> Database:
    """Make a database with one idle connection, over which the list is read now and then, and now in vain."""
    settings = {"HOST": "127.0.0.1", "PORT": proxy.port}
    database = make_database(MAX_CONNS=limit, role_limit=limit + 1, CONN_WAIT_TIMEOUT=20, settings=settings)
    assert database.answer("select 7") == [(7,)]
    eventually(lambda: database.stats().fleet_limit is not None, "a look")
    proxy.strand()
    eventually(lambda: database.stats().connecting == 1, "a look that does not end")
    return database


def test_others_connect_meanwhile(make_database: MakeDatabase, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "LOOK_PATIENCE", 600)
    database = make(make_database, proxy, 4)
    assert database.answer("select 8") == [(8,)]
    proxy.reset()


def test_it_is_given_up_after_a_while(
    make_database: MakeDatabase, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "LOOK_PATIENCE", 1.0)
    database = make(make_database, proxy, 1)
    assert database.answer("select 8") == [(8,)]
    proxy.reset()
    eventually(lambda: database.stats().size <= 1, "the lost connection closed")
