"""Features that only psycopg 3 has: prepared statements, server-side binding, pipelines, COPY as a context manager."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.db import DataError, connections, transaction
from psycopg.rows import dict_row

from tests.support.errors_thrown import SoftLimit
from tests.support.tasks import Task

from .conftest import MODES, MakeDatabase

pytestmark = pytest.mark.driver("psycopg")


@MODES
@pytest.mark.parametrize("discard", [False, True])
def test_prepared_statements_outlive_their_holder_or_are_forgotten_on_both_sides(
    make_database: MakeDatabase, mode: str, discard: bool
) -> None:
    database = make_database(
        MAX_CONNS=1, POOL_MODE=mode, prepare_threshold=0, server_side_binding=True, ON_RELEASE_DISCARD_ALL=discard
    )
    for number in range(4):
        assert Task(database.answer, "select %s::int + 1", number).result() == [(number + 1,)]
    (count,) = database.answer("select count(*) from pg_prepared_statements where statement like '%%+ 1'")[0]
    assert count == (0 if discard else 1)
    database.assert_whole()


@MODES
@pytest.mark.parametrize("on_server", [False, True])
def test_where_parameters_are_bound(make_database: MakeDatabase, mode: str, on_server: bool) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode, server_side_binding=on_server)
    with connections[database.alias].cursor() as cursor:
        cursor.execute("select query from pg_stat_activity where pid = pg_backend_pid() and %s", [True])
        (query,) = cursor.fetchone()
    assert ("$1" in query) is on_server
    with transaction.atomic(using=database.alias), connections[database.alias].chunked_cursor() as cursor:
        cursor.execute("select generate_series(1, %s)", [5])
        assert [row[0] for row in cursor] == [1, 2, 3, 4, 5]
    database.give_back()
    database.assert_whole()


@MODES
def test_a_pipeline(make_database: MakeDatabase, mode: str) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode)
    with database.raw().pipeline():
        cursors = [database.raw().execute("select %s::int", [number]) for number in range(50)]
        assert [cursor.fetchone() for cursor in cursors] == [(number,) for number in range(50)]
    database.give_back()
    database.assert_whole()


@MODES
@pytest.mark.parametrize("is_refused", [False, True])
def test_a_pipeline_whose_end_is_interrupted_leaves_nothing_open(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch, mode: str, is_refused: bool
) -> None:
    """An exception out of a signal handler may do so: all answers are there, but the Sync was not sent."""
    database = make_database(MAX_CONNS=1, POOL_MODE=mode)

    def interrupted(_: psycopg.Pipeline) -> Any:
        raise SoftLimit
        yield

    def run() -> None:
        with database.raw().pipeline():
            assert database.raw().execute("select 1").fetchone() == (1,)
            if is_refused:
                with pytest.raises(psycopg.errors.DivisionByZero):
                    database.raw().execute("select 1 / 0").fetchone()
            monkeypatch.setattr(psycopg.Pipeline, "_exit_gen", interrupted)

    with pytest.raises(SoftLimit):
        run()
    monkeypatch.undo()
    database.give_back()
    assert Task(database.answer, "select now() = statement_timestamp()").result() == [(True,)]
    database.assert_whole()


@MODES
def test_rows_that_are_refused_do_not_cost_the_connection(make_database: MakeDatabase, mode: str) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode)
    pid = database.pid()
    with pytest.raises(DataError), connections[database.alias].cursor() as cursor:
        cursor.executemany("select 1 / %s::int", [(1,), (0,)])
    database.give_back()
    assert database.pid() == pid
    database.give_back()
    database.assert_whole()


@MODES
@pytest.mark.parametrize("enter", [psycopg.Connection.pipeline, psycopg.Connection.transaction])
def test_what_a_holder_leaves_open_is_no_business_of_the_next(
    make_database: MakeDatabase, mode: str, enter: Callable[[Any], Any]
) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode)
    left = enter(database.raw())
    left.__enter__()
    database.raw().execute("select 1")
    database.give_back()
    assert Task(database.answer, "select 7").result() == [(7,)]
    with contextlib.suppress(psycopg.Error):
        left.__exit__(None, None, None)
    database.assert_whole()


@MODES
def test_factories_that_a_holder_has_set_are_not_the_next_ones(make_database: MakeDatabase, mode: str) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode)
    pid = database.pid()
    database.raw().row_factory = dict_row
    database.raw().cursor_factory = psycopg.RawCursor
    database.raw().prepare_threshold = 0
    database.give_back()
    assert database.fetch("select pg_backend_pid(), %s::int", 7) == [(pid, 7)]
    assert database.raw().prepare_threshold is None


def test_the_row_factory_of_the_options(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, row_factory=dict_row)
    with database.raw().cursor() as cursor:
        assert cursor.execute("select 7 as seven").fetchone() == {"seven": 7}


@MODES
def test_copy_in_and_out_of_many_rows(make_database: MakeDatabase, mode: str) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode)
    with transaction.atomic(using=database.alias):
        cursor = database.raw().cursor()
        cursor.execute("create temporary table copied (number int, text text) on commit drop")
        with cursor.copy("copy copied from stdin") as copy:
            for number in range(20000):
                copy.write_row((number, "x" * 100))
        with cursor.copy("copy copied to stdout") as copy:
            assert sum(1 for _ in copy.rows()) == 20000
    database.give_back()
    database.assert_whole()


def test_a_copy_left_half_way_is_cancelled_and_its_connection_replaced(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1, options="-c client_connection_check_interval=0")
    pid = database.pid()
    copy = database.raw().cursor().copy("copy (select generate_series(1, 100000000)) to stdout")
    next(iter(copy.__enter__()))
    database.give_back()
    assert Task(database.pid).result() != pid
    database.assert_whole()


def test_a_query_and_an_answer_larger_than_every_buffer(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    text = "x" * 20_000_000
    assert database.answer("select length(%s), %s", text, text) == [(len(text), text)]


def test_a_wait_for_notifications_that_is_over_leaves_the_connection(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=2)
    pid = database.pid()
    database.raw().execute("listen news")
    assert list(database.raw().notifies(timeout=0)) == []
    assert list(database.raw().notifies(timeout=0.2)) == []
    Task(database.answer, "notify news, 'hello'").result()
    assert [notify.payload for notify in database.raw().notifies(timeout=10, stop_after=1)] == ["hello"]
    database.raw().execute("unlisten news")
    assert database.pid() == pid


@MODES
def test_limits_and_handlers_that_a_holder_has_set_are_not_the_next_ones(
    make_database: MakeDatabase, mode: str
) -> None:
    database = make_database(MAX_CONNS=1, POOL_MODE=mode)
    pid = database.pid()
    heard: list[object] = []
    database.raw().add_notice_handler(heard.append)
    database.raw().add_notify_handler(heard.append)
    database.raw().server_cursor_factory = psycopg.Cursor
    database.raw().prepared_max = 1
    database.raw().execute("listen news")
    database.give_back()
    database.fetch("do $$ begin raise notice 'hello'; end $$")
    database.fetch("notify news, 'hello'")
    assert heard == []
    assert database.raw().server_cursor_factory is psycopg.ServerCursor
    assert database.raw().prepared_max == 100
    database.raw().execute("unlisten news")
    assert database.pid() == pid
