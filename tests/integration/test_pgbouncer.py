"""PgBouncer between the pool and the server, in its two usual modes, with each of the pool's."""

from __future__ import annotations

import contextlib
from typing import Any, Protocol

import pytest
from django.db import OperationalError, transaction
from django.db.backends.postgresql.psycopg_any import IsolationLevel

from django_geventpool.errors import PoolTimeout
from servers.pgbouncer import PgBouncer, PoolMode
from tests.support.database import Database
from tests.support.drivers import driver
from tests.support.tasks import Task, results
from tests.support.waiting import eventually
from tests.support.watcher import Watcher
from tests.testapp.models import Item

from .conftest import MakeDatabase, PutPgBouncerBefore
from .test_restart import assert_goes_on_after

POOLER_MODES: tuple[PoolMode, ...] = ("session", "transaction")
LIMIT = 5

#: PgBouncer's mode, and the pool's.
pytestmark = pytest.mark.parametrize("pooler_mode", POOLER_MODES)
both_modes = pytest.mark.parametrize("mode", ["session", "transaction"])


class Put(Protocol):
    """Makes a database with 5 connections behind a PgBouncer with as many; ``pooler`` are PgBouncer's settings."""

    def __call__(
        self, *, settings: dict[str, Any] | None = ..., pooler: dict[str, Any] | None = ..., **options: Any
    ) -> tuple[Database, PgBouncer]: ...


@pytest.fixture
def put(make_database: MakeDatabase, put_pgbouncer_before: PutPgBouncerBefore, pooler_mode: PoolMode) -> Put:
    """Return a function that puts a PgBouncer in the test's mode before a database."""

    def make(
        *, settings: dict[str, Any] | None = None, pooler: dict[str, Any] | None = None, **options: Any
    ) -> tuple[Database, PgBouncer]:
        options = {"MAX_CONNS": LIMIT, "CONN_WAIT_TIMEOUT": 60, **options}
        database = make_database(settings=settings, role_limit=options.pop("role_limit", None), **options)
        return database, put_pgbouncer_before(database, pooler_mode, **(pooler or {}))

    return make


def clients(pooler: PgBouncer, database: Database) -> int:
    """Return how many of the pool's connections PgBouncer counts."""
    return sum(row["user"] == database.role for row in pooler.show("CLIENTS"))


@both_modes
def test_200_at_once_get_right_answers_over_max_conns_connections(put: Put, mode: str) -> None:
    # PgBouncer refuses one more, and the pool would report that: see make_database.
    refusing = {"max_client_conn": LIMIT, "ignore_startup_parameters": "options"}
    # The server has room, as otherwise connections would be closed for other processes, and opened again.
    database, pooler = put(POOL_MODE=mode, pooler=refusing, role_limit=LIMIT + 1)
    with Watcher(database.server, database.role) as watcher:
        answers = results([Task(database.answer, "select %s::int, pg_sleep(0.02)::text", n) for n in range(200)])
        seen = watcher.seen()
    assert [rows[0][0] for rows in answers] == list(range(200))
    assert 1 < seen.most <= LIMIT
    assert seen.sessions <= LIMIT, "PgBouncer had to replace connections"
    assert 1 < database.stats().connects <= LIMIT
    database.assert_whole()
    assert "no more connections allowed" not in pooler.log


@both_modes
def test_pgbouncer_counts_no_more_than_max_conns(put: Put, mode: str) -> None:
    database, pooler = put(POOL_MODE=mode)
    tasks = [Task(database.answer, "select pg_sleep(600)::text") for _ in range(20)]
    database.await_running("pg_sleep(600)", LIMIT)
    (pool,) = [row for row in pooler.show("POOLS") if row["user"] == database.role]
    assert (pool["cl_active"], pool["cl_waiting"], pool["sv_active"]) == (str(LIMIT), "0", str(LIMIT))
    assert clients(pooler, database) == LIMIT
    while not all(task.ended for task in tasks):
        database.server.query(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
            f" WHERE usename = '{database.role}' AND state = 'active'"
        )
    for task in tasks:
        with pytest.raises(OperationalError, match="canceling statement"):
            task.result()
    database.assert_whole()
    assert clients(pooler, database) == LIMIT
    database.pool.close()
    eventually(lambda: clients(pooler, database) == 0, "no client of PgBouncer")


@both_modes
def test_transactions_savepoints_and_hooks(put: Put, schema: None, mode: str) -> None:
    database, _ = put(POOL_MODE=mode)
    items = Item.objects.using(database.alias)
    hooked: list[tuple[int, int]] = []

    def fail(name: str, number: int) -> None:
        with contextlib.suppress(LookupError), transaction.atomic(using=database.alias):
            items.create(name=name, number=number)
            raise LookupError

    def work(number: int) -> None:
        name = f"pooled {number}"
        try:
            with transaction.atomic(using=database.alias):
                items.create(name=name, number=1)
                fail(name, 2)
                with transaction.atomic(using=database.alias):
                    items.create(name=name, number=3)
                transaction.on_commit(
                    lambda: hooked.append((number, items.filter(name=name).count())), using=database.alias
                )
            fail(name, 4)
            assert sorted(items.filter(name=name).values_list("number", flat=True)) == [1, 3]
        finally:
            items.filter(name=name).delete()
            database.give_back()

    results([Task(work, number) for number in range(30)])
    assert sorted(hooked) == [(number, 2) for number in range(30)]
    database.assert_whole()


@both_modes
def test_the_time_zone_is_right_at_each_checkout(put: Put, pooler_mode: PoolMode, mode: str) -> None:
    """PgBouncer gives clients other server connections, on which it sets their time zones."""
    database, _ = put(POOL_MODE=mode, pooler={"size": 2 if pooler_mode == "transaction" else LIMIT})

    def work(number: int) -> str:
        try:
            if number % 3:
                return str(database.fetch("show time zone")[0][0])
            with transaction.atomic(using=database.alias):
                database.fetch("set time zone 'Pacific/Fiji'")
            return "UTC"
        finally:
            database.give_back()

    zones = set(results([Task(work, number) for number in range(60)]))
    assert zones == {"UTC"}


@pytest.mark.parametrize("ignored", [True, False])
def test_a_pooler_that_does_not_know_the_check_interval_costs_one_attempt_to_connect(put: Put, ignored: bool) -> None:
    database, pooler = put(pooler={"ignore_startup_parameters": "options"} if ignored else {})
    assert database.answer("select 7") == [(7,)]
    database.assert_whole()
    assert pooler.log.count("pooler error: unsupported startup parameter: options") == (0 if ignored else 1)


@both_modes
def test_the_isolation_level_holds_in_transactions(put: Put, make_database: MakeDatabase, mode: str) -> None:
    database, pooler = put(POOL_MODE=mode, isolation_level=IsolationLevel.SERIALIZABLE)
    # Another client of the same server connections, on which one client's settings might stay.
    other = make_database(MAX_CONNS=LIMIT, POOL_MODE=mode)
    other.settings.update(HOST=pooler.host, PORT=pooler.port)

    def level(of: Database) -> str:
        try:
            with transaction.atomic(using=of.alias):
                return str(of.fetch("show transaction isolation level")[0][0])
        finally:
            of.give_back()

    for _ in range(3):
        assert level(database) == "serializable"
        assert level(other) == "read committed"
    other.pool.close()


@both_modes
def test_rows_are_read_in_chunks_without_server_side_cursors(put: Put, schema: None, mode: str) -> None:
    database, _ = put(MAX_CONNS=2, POOL_MODE=mode, settings={"DISABLE_SERVER_SIDE_CURSORS": True})
    items = Item.objects.using(database.alias)
    items.bulk_create(Item(name="chunks", number=number) for number in range(300))
    try:
        iterator = items.filter(name="chunks").order_by("number").iterator(chunk_size=10)
        first = next(iterator)
        # Meanwhile, other transactions use the server connection.
        results([Task(database.answer, "select pg_backend_pid()") for _ in range(4)])
        assert [item.number for item in (first, *iterator)] == list(range(300))
    finally:
        items.filter(name="chunks").delete()
        database.give_back()


@both_modes
def test_queries_of_the_same_text_over_many_servers(put: Put, mode: str) -> None:
    """psycopg 3 would prepare a query that comes often, but Django tells it not to."""
    database, _ = put(POOL_MODE=mode)

    def run(number: int) -> None:
        for _ in range(20):
            assert database.answer("select %s::int", number) == [(number,)]

    results([Task(run, number) for number in range(20)])
    database.assert_whole()


@both_modes
def test_discard_all_does_no_harm(put: Put, mode: str) -> None:
    database, _ = put(POOL_MODE=mode, ON_RELEASE_DISCARD_ALL=True)
    answers = results([Task(database.answer, "select %s::int, current_setting('TimeZone')", n) for n in range(100)])
    assert answers == [[(number, "UTC")] for number in range(100)]
    database.assert_whole()


@both_modes
def test_pgbouncer_restarts_under_load(put: Put, mode: str) -> None:
    # The server connections that a killed PgBouncer leaves behind end by themselves, see gone_process; until then they
    # count.
    database, pooler = put(POOL_MODE=mode)
    database.assert_whole()
    assert_goes_on_after(database, pooler.kill, pooler.start)


def test_idle_connections_that_a_restart_of_pgbouncer_ended_are_replaced_without_an_error(put: Put) -> None:
    database, pooler = put()
    database.assert_whole()
    pooler.restart()
    answers = results([Task(database.answer, "select %s::int", number) for number in range(100)])
    assert [rows[0][0] for rows in answers] == list(range(100))
    database.assert_whole()


def test_a_full_pgbouncer_is_waited_for(put: Put) -> None:
    database, pooler = put(role_limit=LIMIT, pooler={"max_client_conn": LIMIT})
    others = [_connect(pooler, database) for _ in range(LIMIT)]
    try:
        tasks = [Task(database.answer, "select %s::int", number) for number in range(20)]
        eventually(lambda: database.stats().waiting == 20, "all to wait")
    finally:
        for other in others:
            other.close()
    assert [rows[0][0] for rows in results(tasks)] == list(range(20))


def test_pool_timeout_when_pgbouncer_stays_full(put: Put) -> None:
    database, pooler = put(CONN_WAIT_TIMEOUT=1, role_limit=LIMIT, pooler={"max_client_conn": 1})
    other = _connect(pooler, database)
    try:
        with pytest.raises(PoolTimeout, match="server itself has no connection left"):
            database.answer("select 1")
    finally:
        other.close()


def test_a_server_that_pgbouncer_finds_full_is_waited_for(put: Put) -> None:
    database, _ = put(MAX_CONNS=2, role_limit=1, pooler={"server_login_retry": 1, "query_wait_timeout": 1})
    with contextlib.closing(driver.connect(**{**database.server.dsn, "user": database.role})):
        task = Task(database.answer, "select 7")
        eventually(lambda: database.stats().waiting == 1, "the task to wait")
    assert task.result() == [(7,)]


def _connect(pooler: PgBouncer, database: Database) -> Any:
    return driver.connect(host=pooler.host, port=pooler.port, user=database.role, dbname=database.server.dbname)
