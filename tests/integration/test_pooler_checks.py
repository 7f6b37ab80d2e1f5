"""System checks that find out what a pooler is between the process and the server."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.core.checks import CheckMessage

from django_geventpool.pooler_checks import shares_servers
from django_geventpool.server_checks import check_server
from servers.pgbouncer import PoolMode
from servers.postgres_address import Postgres
from tests.support.database import Database
from tests.support.waiting import eventually

from .conftest import MakeDatabase, PutPgBouncerBefore


class CachedPassword:
    """A setting that can't be copied."""

    def __init__(self, password: str) -> None:
        self._password = password
        self._lock = threading.Lock()

    def __call__(self) -> str:
        with self._lock:
            return self._password


def messages(database: Database) -> dict[str | None, CheckMessage]:
    return {message.id: message for message in check_server(database.alias)}


def pooled(make_database: MakeDatabase, settings: dict[str, Any] | None = None, **options: Any) -> Database:
    # One connection of the pool, and one more beside it.
    return make_database(MAX_CONNS=1, role_limit=2, settings=settings, **options)


def test_session_mode_is_worth_an_info(make_database: MakeDatabase, put_pgbouncer_before: PutPgBouncerBefore) -> None:
    database = pooled(make_database, ON_RELEASE_DISCARD_ALL=True)
    put_pgbouncer_before(database, "session", size=2)
    found = messages(database)
    assert list(found) == ["geventpool.I002"]
    assert "a pooler such as PgBouncer" in found["geventpool.I002"].msg
    assert "transaction mode" not in found["geventpool.I002"].msg
    assert database.stats().in_use == 0


def test_transaction_mode_needs_settings(
    make_database: MakeDatabase, put_pgbouncer_before: PutPgBouncerBefore, postgres: Postgres
) -> None:
    secret = {"PASSWORD": CachedPassword(postgres.password)}
    database = pooled(make_database, secret, ON_RELEASE_DISCARD_ALL=True, assume_role=postgres.user)
    put_pgbouncer_before(database, "transaction", size=2)
    found = messages(database)
    assert list(found) == ["geventpool.W006", "geventpool.W009", "geventpool.W010"]
    assert all("in transaction mode" in message.msg for message in found.values())
    assert '"DISABLE_SERVER_SIDE_CURSORS": True' in str(found["geventpool.W006"].hint)


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_transaction_mode_with_these_settings_is_worth_an_info(
    make_database: MakeDatabase, put_pgbouncer_before: PutPgBouncerBefore, mode: str
) -> None:
    database = pooled(make_database, {"DISABLE_SERVER_SIDE_CURSORS": True}, POOL_MODE=mode)
    put_pgbouncer_before(database, "transaction", size=2)
    found = messages(database)
    assert list(found) == ["geventpool.I002"]
    assert "in transaction mode" in found["geventpool.I002"].msg


@pytest.mark.parametrize(("pooler_mode", "expected"), [("session", False), ("transaction", True)])
def test_servers_in_turn_make_no_difference(
    make_database: MakeDatabase, put_pgbouncer_before: PutPgBouncerBefore, pooler_mode: PoolMode, expected: bool
) -> None:
    database = make_database(MAX_CONNS=4, role_limit=5)
    pooler = put_pgbouncer_before(database, pooler_mode, size=5, server_round_robin=1)
    database.assert_whole()
    assert shares_servers(database.alias) is expected
    eventually(lambda: sum(row["user"] == database.role for row in pooler.show("CLIENTS")) <= 4, "one client gone")


def test_a_connection_that_is_open_already_stays_open(
    make_database: MakeDatabase, put_pgbouncer_before: PutPgBouncerBefore
) -> None:
    database = pooled(make_database)
    put_pgbouncer_before(database, "session", size=2)
    pid = database.pid()
    assert not shares_servers(database.alias)
    assert database.pid() == pid
    database.give_back()
