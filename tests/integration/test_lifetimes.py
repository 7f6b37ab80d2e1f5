"""When idle connections are closed, and old ones replaced."""

from __future__ import annotations

import threading

from tests.support import inside
from tests.support.database import Database
from tests.support.tasks import Task, results
from tests.support.waiting import eventually

from .conftest import MakeDatabase


def pids(database: Database) -> set[str]:
    return {row[0] for row in database.sessions()}


def use_at_once(database: Database, count: int) -> set[str]:
    """Let a number of tasks hold connections at the same time; return the ids of the server processes."""
    everybody_holds = threading.Barrier(count)

    def hold() -> str:
        pid = str(database.pid())
        everybody_holds.wait(30)
        database.give_back()
        return pid

    return set(results([Task(hold) for _ in range(count)]))


def test_idle_connections_above_min_conns_are_closed_with_no_traffic_at_all(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=5, MIN_CONNS=2, CONN_IDLE_TIMEOUT=1)
    before = use_at_once(database, 5)
    assert len(before) == 5
    eventually(lambda: database.count() == 2, "three of them closed")
    # Another pool's idle time starts later: when it is over, the two would have been closed too.
    later = make_database(MAX_CONNS=1, CONN_IDLE_TIMEOUT=1)
    later.answer("select 1")
    eventually(lambda: later.count() == 0, "the only one closed")
    assert len(pids(database)) == 2
    assert pids(database) < before
    assert database.stats().idle == 2
    assert database.answer("select 7") == [(7,)]


def test_conn_idle_timeout_none_keeps_connections(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=3, CONN_IDLE_TIMEOUT=None)
    database.assert_whole()
    other = make_database(MAX_CONNS=1, CONN_IDLE_TIMEOUT=1)
    other.answer("select 1")
    eventually(lambda: other.count() == 0, "the other pool's closed")
    assert database.count() == 3


def test_conn_idle_timeout_0_closes_at_once(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=3, CONN_IDLE_TIMEOUT=0)
    results([Task(database.answer, "select 1") for _ in range(10)])
    eventually(lambda: database.count() == 0, "all closed")
    # The server ends a connection a moment before the pool hears of it.
    eventually(lambda: database.stats().size == 0, "an empty pool")


def test_reuse_conns_limits_how_many_idle_connections_are_kept(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=4, REUSE_CONNS=1)
    assert len(use_at_once(database, 4)) == 4
    eventually(lambda: database.count() == 1, "all but one closed")
    assert database.stats().idle == 1


def test_an_old_connection_is_replaced_between_two_uses_but_never_during_one(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, CONN_MAX_LIFETIME=1)
    first = database.pid()
    database.fetch("select pg_sleep(1.5)")
    assert database.pid() == first, "the connection was replaced while it was in use"
    database.give_back()
    assert database.pid() != first
    database.give_back()
    eventually(lambda: database.count() <= 1, "the old one closed")


def test_connections_kept_for_min_conns_are_renewed_with_no_traffic(make_database: MakeDatabase) -> None:
    # A connection that comes back after its lifetime is closed, not renewed.
    database = make_database(MAX_CONNS=2, MIN_CONNS=2, CONN_MAX_LIFETIME=2)
    before = use_at_once(database, 2)
    assert len(before) == 2
    eventually(lambda: len(pids(database)) == 2 and not pids(database) & before, "two others")
    assert database.answer("select 7") == [(7,)]


def test_lifetimes_of_connections_opened_together_end_apart(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=20, CONN_MAX_LIFETIME=1000)
    database.assert_whole()
    ends = sorted(slot.expires_at or 0 for slot in inside.slots(database.pool))
    assert len(ends) == 20
    assert 1 < ends[-1] - ends[0] < 110


def test_conn_max_lifetime_none_replaces_nothing(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, CONN_MAX_LIFETIME=None)
    pid = database.answer("select pg_backend_pid()")
    other = make_database(MAX_CONNS=1, MIN_CONNS=1, CONN_MAX_LIFETIME=1)
    other.answer("select 1")
    renewed = pids(other)
    eventually(lambda: pids(other) and pids(other) != renewed, "the other pool's replaced")
    assert database.answer("select pg_backend_pid()") == pid
