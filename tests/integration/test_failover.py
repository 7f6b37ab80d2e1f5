"""A fail-over that cuts no connections: those to a server that has become a standby are not lent again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import InternalError, transaction
from django.db.backends.signals import connection_created

from servers.postgres_address import Postgres
from servers.postgres_binaries import PostgresNotFound
from servers.proxy import Proxy
from tests.support import inside
from tests.support.database import Database
from tests.support.front_end import FrontEnd
from tests.support.pair import Pair, pair_of_servers
from tests.support.tasks import Task, results
from tests.support.waiting import eventually

from .conftest import MakeDatabase

INSERT = "insert into written values (1)"
READ_ONLY = "read-only transaction"
#: Parameters that servers before version 14 don't report.
NEWS = ("in_hot_standby", "default_transaction_read_only")


@pytest.fixture
def pair() -> Iterator[Pair]:
    with contextlib.ExitStack() as stack:
        try:
            yield stack.enter_context(pair_of_servers())
        except PostgresNotFound as error:
            pytest.skip(str(error))


def make_moving(make_database: MakeDatabase, pair: Pair, port: int, **options: object) -> Database:
    """Make a database at a port that moves from one server to the other."""
    database = make_database(
        server=pair.primary, role_limit=20, CONN_WAIT_TIMEOUT=60, settings={"PORT": port}, **options
    )
    pair.await_role(database.role)
    return database


def assert_writes(database: Database, count: int = 10) -> None:
    results([Task(database.answer, INSERT) for _ in range(count)])
    written = database.server.query("select count(*) from written")
    assert written == [[str(count)]]


@pytest.mark.parametrize(("mode", "had_a_primary"), [("session", True), ("transaction", False)])
def test_connections_to_the_old_primary_go_with_the_first_write_in_vain(
    pair: Pair, make_database: MakeDatabase, mode: str, had_a_primary: bool
) -> None:
    with Proxy(pair.primary.host, pair.primary.port) as proxy:
        database = make_moving(make_database, pair, proxy.port, MAX_CONNS=3, POOL_MODE=mode)
        if had_a_primary:
            database.assert_whole()
        pair.fail_over()
        # The port still leads to the old primary, which is back before the port moves.
        database.assert_whole()
        assert database.answer("select pg_is_in_recovery()") == [(True,)]
        proxy.move(pair.standby.host, pair.standby.port)
        database.server = pair.standby
        with pytest.raises(InternalError, match=READ_ONLY):
            database.answer(INSERT)
        assert_writes(database)
        database.assert_whole()


def test_a_server_that_does_not_report_is_asked(pair: Pair, make_database: MakeDatabase) -> None:
    with FrontEnd(pair.primary.host, pair.primary.port) as front_end:
        for name in NEWS:
            front_end.hide(name)
        database = make_moving(make_database, pair, front_end.port, MAX_CONNS=3)
        pair.fail_over()
        database.assert_whole()
        front_end.move(pair.standby.host, pair.standby.port)
        database.server = pair.standby
        with pytest.raises(InternalError, match=READ_ONLY):
            database.answer(INSERT)
        assert_writes(database)
        database.assert_whole()


def test_a_primary_that_is_made_read_only_under_its_holders(pair: Pair, make_database: MakeDatabase) -> None:
    with Proxy(pair.primary.host, pair.primary.port) as proxy:
        database = make_moving(make_database, pair, proxy.port, MAX_CONNS=3)
        database.assert_whole()
        database.fetch("select 1")
        pair.primary.query("alter system set default_transaction_read_only = on")
        pair.primary.query("select pg_reload_conf()")
        eventually(lambda: database.fetch("show transaction_read_only") == [("on",)], "the session to be read only")
        pair.standby.promote()
        proxy.move(pair.standby.host, pair.standby.port)
        database.server = pair.standby
        with pytest.raises(InternalError, match=READ_ONLY):
            database.fetch(INSERT)
        database.give_back()
        assert_writes(database)
        database.assert_whole()


def test_a_session_that_a_pooler_has_moved_to_a_standby_is_not_lent_again(
    make_database: MakeDatabase, postgres: Postgres
) -> None:
    with FrontEnd(postgres.host, postgres.port) as front_end:
        database = make_database(MAX_CONNS=2, role_limit=5, settings={"PORT": front_end.port})
        database.assert_whole()
        held = database.pid()
        front_end.report("in_hot_standby", "on")
        assert database.pid() == held  # The holder's connection gets the report with the answer.
        database.give_back()
        eventually(lambda: database.count() == 1, "its end")
        # The idle connection has got the report too.
        database.assert_whole()
        assert database.stats().connects == 4


def test_a_standby_is_not_taken_for_state_of_the_session(make_database: MakeDatabase, postgres: Postgres) -> None:
    with FrontEnd(postgres.host, postgres.port) as front_end:
        settings = {"PORT": front_end.port}
        database = make_database(MAX_CONNS=1, role_limit=5, POOL_MODE="transaction", settings=settings)
        with transaction.atomic(using=database.alias):
            database.fetch("select 1")
            front_end.report("in_hot_standby", "on")
            database.fetch("select 1")
        assert database.stats().in_use == 0
        assert database.stats().pinned == {}
        eventually(lambda: database.count() == 0, "its end")


def test_a_standby_that_is_reported_while_a_session_is_cleared_is_not_lent_again(
    make_database: MakeDatabase, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FrontEnd(postgres.host, postgres.port) as front_end:
        database = make_database(MAX_CONNS=1, role_limit=5, settings={"PORT": front_end.port})
        clear = database.pool.driver.clear_set_up

        def clear_and_report(connection: Any) -> None:
            front_end.report("in_hot_standby", "on")
            clear(connection)

        def set_up(connection: Any, **_: object) -> None:
            with connection.cursor() as cursor:
                cursor.execute("set statement_timeout = '77s'")

        connection_created.connect(set_up)
        try:
            held = database.pid()
        finally:
            connection_created.disconnect(set_up)
        database.give_back()
        monkeypatch.setattr(database.pool.driver, "clear_set_up", clear_and_report)
        assert results([Task(database.answer, "select pg_backend_pid()")]) == [[(held,)]]
        eventually(lambda: database.count() == 0, "its end")


def test_a_replica_that_is_meant_stays_in_use(pair: Pair, make_database: MakeDatabase) -> None:
    replica = make_moving(make_database, pair, pair.standby.port, MAX_CONNS=3)
    replica.assert_whole()
    for _ in range(100):
        assert replica.answer("select pg_is_in_recovery()") == [(True,)]
    assert replica.stats().connects == 3
    with pytest.raises(InternalError, match=READ_ONLY):
        replica.answer(INSERT)
    replica.assert_whole()
    connects = replica.stats().connects
    assert connects <= 6
    for _ in range(10):
        replica.assert_whole()
    assert replica.stats().connects == connects


def test_a_replica_that_is_promoted_stays_in_use(pair: Pair, make_database: MakeDatabase) -> None:
    replica = make_moving(make_database, pair, pair.standby.port, MAX_CONNS=2)
    replica.answer("select 1")
    replica.fetch("select 1")
    pair.standby.promote()
    eventually(lambda: replica.fetch("select pg_is_in_recovery()") == [(False,)], "the promotion")
    replica.server = pair.standby
    assert_writes(replica)
    replica.give_back()
    assert replica.stats().connects <= 3


@pytest.mark.parametrize("how", ["transaction", "session", "options"])
def test_who_is_read_only_by_his_own_will_costs_no_other_connection(make_database: MakeDatabase, how: str) -> None:
    options = {"options": "-c default_transaction_read_only=on"} if how == "options" else {}
    database = make_database(MAX_CONNS=2, **options)
    database.assert_whole()
    serials = {slot.connection.serial for slot in inside.slots(database.pool)}
    if how == "session":
        database.fetch("set default_transaction_read_only = on")

    @transaction.atomic(using=database.alias)
    def write() -> None:
        if how == "transaction":
            database.fetch("set transaction read only")
        database.fetch("create table in_vain ()")

    with pytest.raises(InternalError, match=READ_ONLY):
        write()
    database.give_back()
    database.assert_whole()
    left = {slot.connection.serial for slot in inside.slots(database.pool)}
    # A session with a setting of its holder's may stay or go.
    assert len(serials - left) <= (how == "session")
