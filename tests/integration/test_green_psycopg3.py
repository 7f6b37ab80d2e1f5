"""Connections of psycopg 3 are green, and its ways of waiting that psycopg2 hasn't can be interrupted."""

from __future__ import annotations

import contextlib
import ctypes.util
import importlib.util
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tests.support.fresh import run_fresh
from tests.support.tasks import FRAMEWORK, Interruption, Task, framework_timeout, is_interruption
from tests.support.waiting import eventually

from .conftest import MakeDatabase

pytestmark = [pytest.mark.frameworks("gevent", "eventlet"), pytest.mark.driver("psycopg")]

#: The implementations that are installed.
IMPLEMENTATIONS = [impl for impl in ("c", "binary") if importlib.util.find_spec(f"psycopg_{impl}") is not None]
if ctypes.util.find_library("pq") is not None:
    IMPLEMENTATIONS.append("python")

CODE = """
    import os, time
    os.environ["PSYCOPG_IMPL"] = {impl!r}
    {imports}
    from tests.run import patch
    patch({framework!r})

    from django.conf import settings
    settings.configure(DATABASES={{"default": {settings!r}}})
    import django
    django.setup()
    import psycopg
    from django.db import connection
    from tests.support.tasks import Task, results

    def ask():
        with connection.cursor() as cursor:
            cursor.execute("select pg_sleep(1)::text")
        connection.close()

    start = time.monotonic()
    results([Task(ask) for _ in range(10)])
    print(psycopg.pq.__impl__)
    print("at the same time" if time.monotonic() - start < 9 else "one after the other")
"""


@pytest.mark.parametrize("impl", IMPLEMENTATIONS)
@pytest.mark.parametrize("imports", ["", "import psycopg"], ids=["imported later", "imported before"])
def test_queries_run_at_the_same_time(make_database: MakeDatabase, impl: str, imports: str) -> None:
    settings = make_database(MAX_CONNS=10).settings
    lines = run_fresh(CODE.format(impl=impl, imports=imports, framework=FRAMEWORK, settings=settings))
    assert lines == [impl, "at the same time"]


def stream(connection: Any) -> None:
    for _ in connection.cursor().stream("select 'waits', pg_sleep(600)"):
        pass


def copy_out(connection: Any) -> None:
    with connection.cursor().copy("copy (select 'waits', pg_sleep(600)) to stdout") as copy:
        for _ in copy:
            pass


def run_pipeline(connection: Any) -> None:
    with connection.pipeline():
        connection.execute("select 1")
        connection.execute("select 'waits', pg_sleep(600)").fetchall()


def stream_slowly(connection: Any) -> None:
    for _ in connection.cursor().stream("select 'waits', generate_series(1, 100000000)"):
        time.sleep(0.01)


def copy_out_slowly(connection: Any) -> None:
    with connection.cursor().copy("copy (select 'waits', generate_series(1, 100000000)) to stdout") as copy:
        for _ in copy:
            time.sleep(0.01)


@pytest.mark.parametrize("how", ["kill", "timeout"])
@pytest.mark.parametrize("work", [stream, copy_out, run_pipeline, stream_slowly, copy_out_slowly])
def test_what_is_interrupted_ends_on_the_server(
    make_database: MakeDatabase, work: Callable[[Any], None], how: Interruption
) -> None:
    database = make_database(MAX_CONNS=1, options="-c client_connection_check_interval=0")

    def run() -> None:
        try:
            database.connection.ensure_connection()
            work(database.connection.connection)
        finally:
            database.give_back()

    victim = Task(run)
    database.await_running("waits")
    victim.interrupt(how)
    victim.wait()
    assert is_interruption(victim.error), repr(victim.error)
    eventually(lambda: not database.running("waits"), "the query gone from the server")
    assert database.answer("select 7") == [(7,)]
    database.assert_whole()


def test_a_timeout_around_a_wait_for_notifications_leaves_the_connection(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    pid = database.pid()
    database.connection.ensure_connection()
    connection = database.connection.connection
    connection.execute("listen news")

    def listen() -> None:
        with framework_timeout(0.3):
            list(connection.notifies())

    task = Task(listen)
    task.wait()
    assert is_interruption(task.error), repr(task.error)
    database.server.query("notify news, 'hello'")
    assert [notify.payload for notify in connection.notifies(timeout=10, stop_after=1)] == ["hello"]
    connection.execute("unlisten news")
    assert database.pid() == pid


@pytest.mark.parametrize("how", ["kill", "timeout"])
def test_of_two_that_read_one_copy_the_end_of_one_tells_the_other(
    make_database: MakeDatabase, how: Interruption
) -> None:
    database = make_database(MAX_CONNS=1)
    database.connection.ensure_connection()
    raw = database.connection.connection

    def read(copy: Any) -> None:
        while copy.read():
            pass

    rows = "select 'waits', repeat('x', 10000), pg_sleep(0.5) from generate_series(1, 1000)"
    with contextlib.suppress(psycopg.Error), raw.cursor().copy(f"copy ({rows}) to stdout") as copy:
        readers = [Task(read, copy) for _ in range(2)]
        time.sleep(0.1)  # Lets both wait; under eventlet only one may.
        readers[1].interrupt(how)
        for reader in readers:
            reader.wait(10)
        assert isinstance(readers[0].error, psycopg.OperationalError), repr(readers[0].error)
    database.give_back()
    assert database.answer("select 7") == [(7,)]
    database.assert_whole()
