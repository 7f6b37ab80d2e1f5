"""The operations of remote control commands on the pools of one process."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.conf import settings
from django.core.signals import request_finished, request_started
from django.db import connections

from celery_geventpool import control, operations
from celery_geventpool.task import TaskLabel
from django_geventpool import pools
from django_geventpool.pool import holder
from tests.support.database import Database
from tests.support.waiting import eventually

from .conftest import MakeDatabase


@pytest.fixture
def database(make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A database that is in Django's settings."""
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


NO_LIMITS = {
    **{
        repr(limit): limit
        for limit in ("many", "0", "-1", "2.5", "", " 3", "+3", "3_0", 0, -1, 2.5, True, [3], {"3": 3})
    },
    "Arabic digits": "\u0663",
    "a superscript": "\u00b2",
    "401 digits": 10**400,
    "a text of 401 digits": str(10**400),
    "5,001 digits": 10**5000,
    "a text of 5,000 digits": "9" * 5000,
    "infinity": float("inf"),
    "not a number": float("nan"),
    "more than any server has": 262_144,
    "line breaks": "3\n[WARNING] forged",
}


@pytest.mark.parametrize("limit", NO_LIMITS.values(), ids=NO_LIMITS)
def test_a_limit_that_makes_no_sense_is_refused(database: Database, limit: object) -> None:
    database.answer("select 1")
    answer = control.pool_resize(None, alias=database.alias, limit=limit)
    assert list(answer) == ["error"]
    assert answer["error"].startswith("The limit stays as it is: MAX_CONNS must be ")
    assert answer["error"].isprintable()
    assert len(answer["error"]) < 300
    assert database.stats().limit == limit_of(database) == 3
    assert database.answer("select 7") == [(7,)]


@pytest.mark.parametrize(
    ("alias", "shown"),
    [
        ("orders", '"orders"'),
        ("", '""'),
        ("x\n[WARNING] forged\x1b[2J", r'"x\n[WARNING] forged\x1b[2J"'),
        ("x" * 10_000, '"xxx'),
        (["default"], "['default']"),
        ({"default": 1}, "{'default': 1}"),
        (5, "5"),
    ],
)
def test_an_alias_without_a_pool_is_refused(database: Database, alias: object, shown: str) -> None:
    for answer in (control.pool_resize(None, alias=alias, limit=3), control.pool_close_idle(None, alias=alias)):
        assert list(answer) == ["error"]
        asked, _, known = answer["error"].partition(" has a pool. Those that have one: ")
        assert asked.startswith(f"No database {shown}")
        assert f'"{database.alias}"' in known
        assert answer["error"].isprintable()
        assert len(answer["error"]) < 600


@pytest.mark.parametrize("arguments", [{}, {"alias": None, "limit": 3}, {"limit": 3}, {"alias": "default"}])
def test_a_limit_without_its_alias_is_refused(database: Database, arguments: dict[str, Any]) -> None:
    assert control.pool_resize(None, **arguments) == {
        "error": "pool_resize takes an alias and its new limit, as in: pool_resize default 20"
    }


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (["holder"], "holder"),
        ("holder", "holder"),
        (["holders", "a\nb"], r"a\nb"),
        (5, "5"),
        ({"holders": 1}, "{'holders': 1}"),
        ([["holders"]], "['holders']"),
        ([None], "None"),
    ],
)
def test_an_unknown_option_of_inspect_pools_is_refused(database: Database, options: object, shown: str) -> None:
    assert control.pools(None, options=options) == {
        "error": f"inspect pools knows no {shown}; it takes: holders, buckets, tasks."
    }


@pytest.mark.parametrize("options", [(), [], None, "holders", ["holders", "buckets"], ("buckets",)])
def test_known_options_of_inspect_pools_are_taken(database: Database, options: object) -> None:
    database.answer("select 1")
    (shown,) = (pool for pool in control.pools(None, options=options)["pools"] if pool["alias"] == database.alias)
    assert ("holders" in shown) == ("holders" in (options or ()))
    assert ("counts" in shown["wait_time"]) == ("buckets" in (options or ()))


class EvilLabel:
    """The label of a task whose sender tries to forge log lines."""

    def __str__(self) -> str:
        return "x]\n[2026-01-01 WARNING] forged\x1b[2J"


@pytest.mark.parametrize("described", [TaskLabel("shop.report", str(EvilLabel())), EvilLabel()], ids=["task", "other"])
def test_who_holds_a_connection_is_named_in_one_line(
    database: Database, described: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holder, "describe", lambda: described)
    database.fetch("select 1")
    answer = control.pools(None, options=["holders"])
    (shown,) = (pool for pool in answer["pools"] if pool["alias"] == database.alias)
    assert "forged" in shown["longest_holder"]
    for text in (
        shown["longest_holder"],
        *(held["holder"] for held in shown["holders"]),
        *answer["ok"].splitlines(),
        str(database.stats()),
    ):
        assert text.isprintable()
    assert not any(line.startswith("[") for line in answer["ok"].splitlines())
    database.give_back()


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
