"""Forked children: they have connections of their own, and the parent's go on."""

from __future__ import annotations

import contextlib
import multiprocessing
import threading

import pytest
from django.db import DatabaseError, connections, transaction

from django_geventpool import pools
from tests.support.database import Database
from tests.support.drivers import driver
from tests.support.forks import fork_in_c, in_child, let_others_run, start_afresh
from tests.support.tasks import Task, results
from tests.support.waiting import eventually
from tests.testapp.models import Item

from .conftest import MakeDatabase


def test_idle_connections_stay_the_parents(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=2, role_limit=4)
    database.assert_whole()
    before = {row[0] for row in database.sessions()}
    assert len(before) == 2

    def child() -> list[int]:
        assert len(pools) == 0, "the child has inherited a pool"
        return [Task(database.answer, "select pg_backend_pid()").result()[0][0] for _ in range(4)]

    assert not {str(pid) for pid in in_child(child)} & before
    eventually(lambda: {row[0] for row in database.sessions()} == before, "the child's connections gone, ours not")
    assert str(database.pid()) in before
    database.give_back()
    database.assert_whole()
    assert {row[0] for row in database.sessions()} == before


def test_a_connection_in_use_stays_the_parents(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, role_limit=2)
    pid = database.pid()

    def child() -> tuple[int, int]:
        # First in another greenlet, then in the one that forked and had the connection.
        (other,) = Task(database.answer, "select pg_backend_pid()").result()
        return int(other[0]), database.pid()

    assert pid not in in_child(child)
    assert database.pid() == pid
    database.give_back()
    eventually(lambda: database.count() == 1, "the child's connection gone")
    database.assert_whole()


def test_a_transaction_goes_on_in_the_parent_and_not_in_the_child(make_database: MakeDatabase, schema: None) -> None:
    database = make_database(MAX_CONNS=1, role_limit=2)
    items = Item.objects.using(database.alias)
    with transaction.atomic(using=database.alias):
        items.create(name="forked")

        def child() -> None:
            Task(database.answer, "select 1").result()
            with pytest.raises(DatabaseError):
                items.create(name="in the child")

        in_child(child)
        items.create(name="forked")
    assert items.filter(name="in the child").count() == 0
    assert items.filter(name="forked").delete()[0] == 2
    database.give_back()
    eventually(lambda: database.count() == 1, "the child's connection gone")
    database.assert_whole()


def test_a_hook_that_closes_all_before_ours_leaves_the_parents_transaction_alone(
    make_database: MakeDatabase,
) -> None:
    """A project may have fork hooks of its own, which were registered before the pool was imported."""
    database = make_database(MAX_CONNS=1, role_limit=2)
    with transaction.atomic(using=database.alias):
        database.fetch("create temp table mine (a int)")
        in_child(lambda: None, first=connections.close_all)
        assert database.fetch("select count(*) from mine") == [(0,)]
    database.give_back()
    database.assert_whole()


def test_a_hook_that_queries_before_ours_has_a_connection_of_its_own(
    make_database: MakeDatabase,
) -> None:
    database = make_database(MAX_CONNS=1, role_limit=2)
    pid = database.pid()
    seen: list[int] = []

    def query() -> None:
        start_afresh()
        seen.append(database.pid())
        database.give_back()

    assert pid not in in_child(lambda: seen, first=query)
    assert database.pid() == pid
    database.give_back()
    eventually(lambda: database.count() == 1, "the child's connection gone")
    database.assert_whole()


@pytest.mark.parametrize("is_held", [True, False], ids=["held", "idle"])
def test_a_child_that_was_forked_in_c_has_connections_of_its_own(make_database: MakeDatabase, is_held: bool) -> None:
    """Servers written in C, such as uWSGI, fork without Python's hooks."""
    database = make_database(MAX_CONNS=1, role_limit=2)
    pid = database.pid()
    if not is_held:
        database.give_back()
    assert in_child(database.pid, fork=fork_in_c) != pid
    assert database.pid() == pid
    database.give_back()
    eventually(lambda: database.count() == 1, "the child's connection gone")
    database.assert_whole()


def test_a_child_that_gives_back_all_its_parent_held_leaves_the_parent_alone(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, role_limit=2)
    pid = database.pid()

    def child() -> None:
        database.give_back()
        pools.close_all()

    in_child(child)
    assert database.pid() == pid
    database.give_back()
    database.assert_whole()


def test_a_query_that_runs_while_the_process_forks_is_answered_to_the_parent(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=4, role_limit=8)
    child_ended = threading.Event()

    def run(number: int) -> tuple[int, int, int]:
        before = database.pid()
        answer = database.fetch("select %s::int, pg_advisory_xact_lock_shared(8)::text", number)[0][0]
        assert child_ended.wait(30)
        after = database.pid()
        database.give_back()
        return before, answer, after

    with contextlib.closing(driver.connect(**{**database.server.dsn, "user": database.role})) as blocker:
        blocker.cursor().execute("select pg_advisory_lock(8)")
        running = [Task(run, number) for number in range(2)]
        database.await_running("pg_advisory_xact_lock_shared", 2)

        def child() -> int:
            answer = Task(database.answer, "select 7").result()
            # Now the parent's queries end, and this one after them.
            Task(database.answer, "select pg_terminate_backend(%s)", blocker.info.backend_pid).result()
            Task(database.answer, "select pg_advisory_xact_lock(8)::text").result()
            let_others_run(1)
            return int(answer[0][0])

        assert in_child(child) == 7
    child_ended.set()
    for number, (before, answer, after) in enumerate(results(running)):
        assert answer == number
        assert before == after, "the parent's connection was lost"
    eventually(lambda: database.count() <= 4, "the child's connection gone")
    database.assert_whole()


def test_who_waits_for_a_connection_while_the_process_forks_gets_it_in_the_parent(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, role_limit=2)
    pid = database.pid()
    waiting = [Task(database.answer, "select pg_backend_pid()") for _ in range(5)]
    eventually(lambda: database.stats().waiting == 5, "all to wait")

    def child() -> int:
        (answer,) = Task(database.answer, "select pg_backend_pid()").result()
        return int(answer[0])

    assert in_child(child) != pid
    database.give_back()
    assert [rows[0][0] for rows in results(waiting)] == [pid] * 5
    eventually(lambda: database.count() == 1, "the child's connection gone")
    database.assert_whole()


def test_a_fork_while_many_work_leaves_everybody_whole(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=3, role_limit=6)
    stop = threading.Event()

    def work(number: int) -> None:
        while not stop.is_set():
            assert database.answer("select %s::int, pg_sleep(0.001)::text", number) == [(number, "")]

    workers = [Task(work, number) for number in range(20)]
    try:
        for _ in range(5):
            eventually(lambda: database.stats().waiting > 0, "some to wait")
            assert in_child(lambda: _ask_at_once(database, 10)) == list(range(10))
    finally:
        stop.set()
    results(workers)
    eventually(lambda: database.count() <= 3, "the children's connections gone")
    database.assert_whole()


def test_multiprocessing_with_fork(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=2, role_limit=6)
    pid = database.pid()
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=_child_of_multiprocessing, args=(database,)) for _ in range(2)]
    for child in children:
        child.start()
    eventually(lambda: all(child.exitcode is not None for child in children), "the end of the children")
    assert [child.exitcode for child in children] == [0, 0]
    assert database.pid() == pid
    database.give_back()
    eventually(lambda: database.count() <= 2, "the children's connections gone")
    database.assert_whole()


def _child_of_multiprocessing(database: Database) -> None:
    start_afresh()
    assert _ask_at_once(database, 10) == list(range(10))
    database.give_back()


def _ask_at_once(database: Database, count: int) -> list[int]:
    return [rows[0][0] for rows in results([Task(database.answer, "select %s::int", n) for n in range(count)])]


def test_a_wrapper_that_the_child_inherits_takes_connections_of_the_child(make_database: MakeDatabase) -> None:
    """Even one that ``connections`` doesn't know, such as a copy, or that of a greenlet that goes on in the child."""
    database = make_database(MAX_CONNS=1, role_limit=2)
    wrapper = database.connection.copy()

    def backend() -> int:
        with wrapper.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return int(cursor.fetchone()[0])

    pid = backend()

    def child() -> list[int]:
        wrapper.close()
        mine = backend()
        stats = pools[database.alias].stats()
        assert (stats.in_use, stats.size) == (1, 1)
        wrapper.close()
        return [mine, database.pid()]

    mine, others = in_child(child)
    assert mine == others != pid
    assert backend() == pid
    wrapper.close()
    eventually(lambda: database.count() == 1, "the child's connection gone")
    database.assert_whole()
