"""What remote control commands do to the pools of one process."""

from __future__ import annotations

import json

import pytest
from django.conf import settings
from django.core.signals import request_finished, request_started
from django.db import connections

from celery_geventpool import operations
from django_geventpool import pools
from tests.support.database import Database
from tests.support.waiting import eventually

from .conftest import MakeDatabase


@pytest.fixture
def database(make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A database that Django's settings know."""
    made = make_database(MAX_CONNS=3, MIN_CONNS=1)
    monkeypatch.setitem(settings.DATABASES, made.alias, connections.settings[made.alias])
    return made


def limit_of(database: Database) -> int:
    return operations.limits()[database.alias]


def test_a_new_limit_holds_for_the_pool_and_for_those_after_it(database: Database) -> None:
    database.answer("select 1")
    assert operations.resize(database.alias, "2") == {"alias": database.alias, "before": 3, "limit": 2}
    assert database.stats().limit == limit_of(database) == 2
    pools.close(database.alias)
    database.answer("select 1")
    assert database.stats().limit == 2


def test_a_new_limit_holds_for_wrappers_that_were_made_before_it(database: Database) -> None:
    wrapper = database.connection
    assert database.alias not in pools
    assert operations.resize(database.alias, 2)["before"] == 3
    wrapper.ensure_connection()
    assert pools[database.alias].stats().limit == 2
    wrapper.close()


@pytest.mark.parametrize("limit", ["many", "0", "-1", "2.5", "", 0, 2.5, True, None])
def test_a_limit_that_makes_no_sense_is_refused(database: Database, limit: object) -> None:
    database.answer("select 1")
    with pytest.raises(operations.Refused, match="The limit stays as it is: MAX_CONNS must be a whole number"):
        operations.resize(database.alias, limit)
    assert database.stats().limit == limit_of(database) == 3


def test_an_alias_without_a_pool_is_refused(database: Database) -> None:
    for refuse in (lambda: operations.resize("orders", 3), lambda: operations.close_idle("orders")):
        with pytest.raises(operations.Refused, match=f'No database "orders" has a pool.*"{database.alias}"'):
            refuse()


def test_idle_connections_are_closed_and_those_in_use_stay(database: Database) -> None:
    database.answer("select 1")
    assert operations.close_idle(database.alias) == {database.alias: 1}
    eventually(lambda: database.sessions() == [], "no session")
    pid = database.pid()
    assert operations.close_idle(None)[database.alias] == 0
    assert database.pid() == pid
    database.give_back()


def test_a_holder_is_named_by_its_request_and_its_query_is_not_told(database: Database) -> None:
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/orders/17/", "QUERY_STRING": "token=hunter2"}
    request_started.send(None, environ=environ)
    try:
        database.fetch("select 'hunter2'")
        (shown,) = (pool for pool in operations.show([operations.HOLDERS]) if pool["alias"] == database.alias)
    finally:
        request_finished.send(None)
    (held,) = shown["holders"]
    assert (held["holder"], held["task"], held["task_id"]) == ("request GET /orders/17/", None, None)
    assert held["state"] == "idle"
    assert "hunter2" not in json.dumps(shown)
    database.give_back()
