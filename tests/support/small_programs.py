"""Small programs, as tasks are made of: each does one thing with a database through Django, and checks its answers.

They run whole in each of their ways of being interrupted, so each may begin and end anywhere.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import DataError, IntegrityError, connections, transaction
from django.db.models import F

from django_geventpool import pools
from django_geventpool.utils import close_connection, pinned
from tests.testapp.models import Item

from .drivers import DRIVER
from .scene import LIMIT, ROWS, WRITTEN, Scene
from .tasks import FRAMEWORK, Task
from .waiting import eventually

Run = Callable[[Scene], None]


def _nothing(_scene: Scene) -> None:
    pass


@dataclass(frozen=True)
class Program:
    """One program.

    Whoever runs it gives the connections back afterwards (`Scene.give_back`), as Celery does at the end of a task;
    but for one that `closes` itself nothing.
    """

    name: str
    run: Run
    #: What is done before each run.
    prepare: Run = _nothing
    #: OPTIONS of its aliases.
    options: dict[str, Any] = field(default_factory=dict)
    #: Whether it is a task that ends, or is killed, without the end that gives back.
    gives_back: bool = True


PROGRAMS: list[Program] = []


def program(
    prepare: Run = _nothing,
    *,
    driver: str = DRIVER,
    framework: str = FRAMEWORK,
    gives_back: bool = True,
    **options: Any,
) -> Any:
    """Add a program, named like the function, for the drivers and frameworks that can run it."""

    def add(run: Run) -> Run:
        if driver == DRIVER and framework == FRAMEWORK:
            PROGRAMS.append(Program(run.__name__, run, prepare, options, gives_back))
        return run

    return add


# Queries


@program()
def get(scene: Scene) -> None:
    assert scene.rows.get(number=7).number == 7


@program()
def count(scene: Scene) -> None:
    assert scene.rows.count() == ROWS


@program()
def several_queries(scene: Scene) -> None:
    for number in range(3):
        assert scene.database.fetch("select %s::int", number) == [(number,)]


@program()
def raw_cursor(scene: Scene) -> None:
    with scene.database.connection.cursor() as cursor:
        cursor.execute("select generate_series(1, 50)")
        assert cursor.fetchmany(3) == [(1,), (2,), (3,)]
        cursor.execute("select 4")
        assert cursor.fetchall() == [(4,)]


@program()
def driver_connection(scene: Scene) -> None:
    scene.database.connection.ensure_connection()
    with scene.database.connection.connection.cursor() as cursor:
        cursor.execute("select 5")
        assert cursor.fetchone() == (5,)


@program()
def failing_query(scene: Scene) -> None:
    with pytest.raises(DataError, match="division by zero"):
        scene.database.fetch("select 1 / 0")
    assert scene.rows.count() == ROWS


# Transactions


@program()
def create_in_atomic(scene: Scene) -> None:
    with transaction.atomic(using=scene.alias):
        item = scene.write(number=1)
        assert scene.items.get(pk=item.pk).number == 1


@program()
def nested_atomic(scene: Scene) -> None:
    with transaction.atomic(using=scene.alias):
        item = scene.write(number=1)
        with transaction.atomic(using=scene.alias):
            scene.items.filter(pk=item.pk).update(number=F("number") + 1)
        try:
            with transaction.atomic(using=scene.alias):
                scene.items.filter(pk=item.pk).update(number=100)
                raise LookupError
        except LookupError:
            pass
        assert scene.items.get(pk=item.pk).number == 2


@program()
def failing_transaction(scene: Scene) -> None:
    with pytest.raises(IntegrityError, match="duplicate key"):
        _write_twice(scene)
    assert scene.rows.count() == ROWS


def _write_twice(scene: Scene) -> None:
    with transaction.atomic(using=scene.alias):
        item = scene.write()
        Item(pk=item.pk, name=WRITTEN).save(using=scene.alias, force_insert=True)


@program()
def on_commit(scene: Scene) -> None:
    seen: list[int] = []
    with transaction.atomic(using=scene.alias):
        scene.write()
        transaction.on_commit(lambda: seen.append(scene.rows.count()), using=scene.alias)
    assert seen == [ROWS]


@program()
def autocommit_off(scene: Scene) -> None:
    transaction.set_autocommit(False, using=scene.alias)
    scene.write()
    transaction.rollback(using=scene.alias)
    assert scene.rows.count() == ROWS
    transaction.commit(using=scene.alias)
    transaction.set_autocommit(True, using=scene.alias)


@program()
def transaction_by_hand(scene: Scene) -> None:
    with pinned(scene.alias):
        scene.database.fetch("begin")
        assert scene.rows.count() == ROWS


@program()
def locked_rows(scene: Scene) -> None:
    with transaction.atomic(using=scene.alias):
        assert len(scene.rows.select_for_update(skip_locked=True).filter(number__lt=0)) == 0
        # Not those of the others: who is interrupted here is rolled back a moment later.
        item = scene.write()
        assert scene.items.select_for_update().get(pk=item.pk).pk == item.pk


# Cursors on the server


@program()
def iterator_half_read(scene: Scene) -> None:
    rows = scene.rows.iterator(chunk_size=10)
    assert [item.number for item in itertools.islice(rows, 3)] == [0, 1, 2]


@program()
def iterator_in_atomic(scene: Scene) -> None:
    with transaction.atomic(using=scene.alias):
        assert [item.number for item in scene.rows.iterator(chunk_size=10)] == list(range(ROWS))


@program()
def iterator_left_in_atomic(scene: Scene) -> None:
    with transaction.atomic(using=scene.alias):
        rows = scene.rows.iterator(chunk_size=10)
        assert next(rows).number == 0
        assert scene.rows.count() == ROWS


@program()
def chunked_cursor(scene: Scene) -> None:
    cursor = scene.database.connection.chunked_cursor()
    cursor.execute("select generate_series(1, 100)")
    assert len(cursor.fetchmany(10)) == 10


# Connections


@program()
def connection_copy(scene: Scene) -> None:
    copy = scene.database.connection.copy()
    with copy.cursor() as cursor:
        cursor.execute("select 6")
        assert cursor.fetchall() == [(6,)]
    copy.close()


@program()
def connection_copy_dropped(scene: Scene) -> None:
    copy = scene.database.connection.copy()
    copy.cursor().execute("select 6")
    del copy


@program()
def wrapper_dropped(scene: Scene) -> None:
    assert scene.rows.count() == ROWS
    del connections[scene.alias]


@program()
def close_in_the_middle(scene: Scene) -> None:
    assert scene.rows.count() == ROWS
    scene.database.connection.close()
    assert scene.rows.count() == ROWS


@program()
def two_aliases(scene: Scene) -> None:
    with transaction.atomic(using=scene.alias), transaction.atomic(using=scene.other.alias):
        scene.write()
        assert scene.other.fetch("select 8") == [(8,)]
    assert scene.rows.using(scene.other.alias).count() == ROWS


@program()
def pinned_block(scene: Scene) -> None:
    with pinned(scene.alias):
        scene.database.fetch("set statement_timeout = '17min'")
        assert scene.database.fetch("show statement_timeout") == [("17min",)]
        scene.database.fetch("reset statement_timeout")


@program()
def close_connection_block(scene: Scene) -> None:
    with close_connection():
        assert scene.rows.count() == ROWS
    with close_connection():
        scene.write()


@program(gives_back=False)
def ends_without_giving_back(scene: Scene) -> None:
    assert scene.rows.count() == ROWS


# What the pool does for them


@program(Scene.make_cold)
def connecting(scene: Scene) -> None:
    assert scene.rows.count() == ROWS


@program(Scene.make_cold)
def connecting_in_atomic(scene: Scene) -> None:
    with transaction.atomic(using=scene.alias):
        scene.write()


@program()
def waiting_at_a_full_pool(scene: Scene) -> None:
    scene.set_when_waited_for(scene.hold_all())
    assert scene.rows.count() == ROWS


@program(Scene.lose_connections)
def reconnecting(scene: Scene) -> None:
    assert scene.rows.count() == ROWS


@program(ON_RELEASE_DISCARD_ALL=True)
def discarding_all(scene: Scene) -> None:
    with pinned(scene.alias):
        scene.database.fetch("set statement_timeout = '17min'")
        assert scene.database.fetch("show statement_timeout") == [("17min",)]


@program(CONN_IDLE_TIMEOUT=0)
def closed_when_idle(scene: Scene) -> None:
    for _ in range(2):
        assert scene.rows.count() == ROWS
        scene.give_back()


@program(CONN_MAX_LIFETIME=0.1, MIN_CONNS=1)
def replaced_when_old(scene: Scene) -> None:
    for _ in range(2):
        assert scene.rows.count() == ROWS
        scene.give_back()


@program()
def resizing(scene: Scene) -> None:
    try:
        assert scene.rows.count() == ROWS
        scene.pool.resize(LIMIT + 1)
        scene.pool.resize(1)
        assert scene.rows.count() == ROWS
    finally:
        scene.pool.resize(LIMIT)


@program()
def closing_the_pool(scene: Scene) -> None:
    assert scene.rows.count() == ROWS
    pools.close(scene.alias)
    scene.give_back()
    assert scene.rows.count() == ROWS


@program()
def closing_a_pool_that_is_used(scene: Scene) -> None:
    let_go = scene.hold_all()
    pools.close(scene.alias)
    let_go.set()
    assert scene.rows.count() == ROWS


# Others beside it


@program()
def children(scene: Scene) -> None:
    def child(number: int) -> int:
        with close_connection():
            return scene.rows.get(number=number).number

    scene.give_back()
    tasks: list[Task[int]] = [scene.help(child, number) for number in range(3)]
    assert [task.result() for task in tasks] == [0, 1, 2]


@program()
def children_in_atomic(scene: Scene) -> None:
    with transaction.atomic(using=scene.alias):
        scene.write()
        scene.help(close_connection(scene.rows.count)).wait()


if FRAMEWORK != "threads":

    @program()
    def killing_another(scene: Scene) -> None:
        victim = scene.help(scene.database.fetch, "select pg_sleep(600)")
        eventually(lambda: scene.observer.look(scene.database.role).busy() or victim.ended, "the query")
        victim.interrupt()
        victim.wait()
        assert scene.rows.count() == ROWS


# What only one of the drivers has


@program(driver="psycopg2", framework="threads")
def copy_expert(scene: Scene) -> None:
    out = io.StringIO()
    with scene.database.connection.cursor() as cursor:
        cursor.copy_expert("copy (select generate_series(1, 100)) to stdout", out)
    assert out.getvalue().split() == [str(number) for number in range(1, 101)]


@program(driver="psycopg2")
def driver_transaction(scene: Scene) -> None:
    scene.database.connection.ensure_connection()
    connection = scene.database.connection.connection
    connection.autocommit = False
    with connection.cursor() as cursor:
        cursor.execute("select 1")
        assert cursor.fetchone() == (1,)


@program(driver="psycopg")
def copy_out(scene: Scene) -> None:
    with (
        scene.database.connection.cursor() as cursor,
        cursor.copy("copy (select generate_series(1, 100)) to stdout") as copy,
    ):
        assert [int(row[0]) for row in copy.rows()] == list(range(1, 101))


@program(driver="psycopg")
def copy_in(scene: Scene) -> None:
    with transaction.atomic(using=scene.alias), scene.database.connection.cursor() as cursor:
        with cursor.copy("copy testapp_item (name, number, data, changed) from stdin") as copy:
            for number in range(20):
                copy.write_row((WRITTEN, number, "{}", "2020-01-01"))
        assert cursor.rowcount == 20


@program(driver="psycopg")
def stream(scene: Scene) -> None:
    scene.database.connection.ensure_connection()
    with scene.database.connection.connection.cursor() as cursor:
        assert [row[0] for row in cursor.stream("select generate_series(1, 50)")] == list(range(1, 51))


@program(driver="psycopg")
def stream_left(scene: Scene) -> None:
    scene.database.connection.ensure_connection()
    cursor = scene.database.connection.connection.cursor()
    assert next(iter(cursor.stream("select generate_series(1, 50)"))) == (1,)


@program(driver="psycopg")
def pipeline(scene: Scene) -> None:
    scene.database.connection.ensure_connection()
    with scene.database.connection.connection.pipeline():
        cursors = [scene.database.connection.connection.execute("select %s::int", [number]) for number in range(3)]
    assert [cursor.fetchone() for cursor in cursors] == [(0,), (1,), (2,)]
