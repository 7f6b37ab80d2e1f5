"""What a process has seen of the others that share its limit."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

import pytest

from celery_geventpool import operations, summary
from django_geventpool.drivers import base
from django_geventpool.pool.fleet.view import FleetView
from tests.support.database import Database
from tests.support.drivers import driver
from tests.support.fleet_worker import Worker
from tests.support.tasks import Task, results
from tests.support.waiting import eventually

from .conftest import MakeDatabase, PutPgBouncerBefore


def make_busy(database: Database) -> None:
    """Have tasks wait for connections, so that the pool looks at the list."""
    results([Task(database.answer, "select pg_sleep(0.02)::text") for _ in range(20)])


def seen(database: Database) -> FleetView:
    make_busy(database)
    fleet = database.stats().fleet
    assert fleet is not None
    return fleet


def answer_of(database: Database) -> tuple[operations.Answer, str]:
    """Return what ``inspect pools`` answers about a database, and its text."""
    answer = next(pool for pool in operations.show() if pool["alias"] == database.alias)
    return answer, summary.summarize({"pools": [answer], "unused": {}, "silent": []})


def test_a_pool_sees_that_of_another_process_and_sessions_of_others(
    make_database: MakeDatabase, tmp_path: Path
) -> None:
    database = make_database(MAX_CONNS=5, role_limit=8, CONN_WAIT_TIMEOUT=60)
    dsn = {**database.server.dsn, "user": database.role, "application_name": "psql"}
    worker = Worker(database, tmp_path, "other")
    with contextlib.closing(driver.connect(**dsn)):
        eventually(lambda: worker.sessions() and seen(database).pools == 2, "two pools in the list")
        fleet = seen(database)
        answer, text = answer_of(database)
    (tmp_path / "end").touch()
    assert worker.output().endswith("queries\n")
    assert (fleet.scope, fleet.limit, fleet.max_conns) == ("role", 8, 10)
    assert (fleet.strangers, fleet.others) == (1, {"psql": 1})
    assert fleet.pools + fleet.strangers <= fleet.sessions <= 8
    assert answer["fleet"]["owner"] == database.role
    assert answer["fleet_limit"] <= 8 - 2, "one is somebody else's, one is kept free"
    assert f"limit 8 (CONNECTION LIMIT of the role {database.role}), " in text
    assert "of 2 pools, which may have " in text
    assert ", 1 of others (psql 1); seen " in text


def test_without_a_limit_of_its_own_a_role_shares_the_servers_with_other_roles(make_database: MakeDatabase) -> None:
    database, other = make_database(MAX_CONNS=2), make_database(MAX_CONNS=1)
    database.server.query(f"ALTER ROLE {database.role} CONNECTION LIMIT -1")
    other.fetch("select 1")
    fleet = seen(database)
    other.give_back()
    assert (fleet.scope, fleet.pools) == ("server", 1)
    assert fleet.strangers >= sum(fleet.others.values())
    assert fleet.others[f"role {other.role}"] == 1
    _, text = answer_of(database)
    assert "(max_connections without reserved ones), " in text


def test_nothing_is_seen_by_a_process_that_needs_one_connection(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=2)
    database.answer("select 1")
    answer, text = answer_of(database)
    assert (answer["fleet"], answer["is_fleet_readable"]) == (None, None)
    assert "fleet" not in text


def test_behind_pgbouncer_nothing_is_seen_and_that_is_said(
    make_database: MakeDatabase, put_pgbouncer_before: PutPgBouncerBefore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "geventpool")
    database = make_database(MAX_CONNS=2, role_limit=4, CONN_WAIT_TIMEOUT=60)
    put_pgbouncer_before(database, "transaction", size=2)
    for _ in range(2):
        make_busy(database)
        database.pool.close_idle()
    answer, text = answer_of(database)
    assert (answer["fleet"], answer["is_fleet_readable"]) == (None, False)
    assert "\n    fleet: not known: the server's session list can't be read, or a pooler is in between" in text
    assert caplog.text.count("can't see each other") == 1


def test_a_server_that_does_not_say_who_is_connected_is_told_of_once(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "geventpool")
    database = make_database(MAX_CONNS=2)
    monkeypatch.setattr(base, "session_list_query", lambda name: "select no_such_function()")
    for _ in range(2):
        make_busy(database)
    assert database.stats().is_fleet_readable is False
    assert caplog.text.count("can't see each other: ") == 1
