"""Small programs about queries, transactions and cursors."""

from __future__ import annotations

import io
import itertools
import time

import pytest
from django.db import DataError, IntegrityError, transaction
from django.db.models import F

from django_geventpool.pool import time_limits
from django_geventpool.pool.time_limits import TimeLimits
from django_geventpool.utils import pinned, wait_timeout
from tests.testapp.models import Item

from .program_registry import program
from .scene import ROWS, WRITTEN, Scene

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


@program(STATEMENT_TIMEOUT_FROM_TASK=True)
def in_a_task_with_a_limit(scene: Scene) -> None:
    limits, no_limits = TimeLimits(time.monotonic(), None, 100), time_limits.current
    time_limits.current = lambda: limits
    try:
        with wait_timeout(scene.alias, 5):
            assert scene.rows.get(number=7).number == 7
            with transaction.atomic(using=scene.alias):
                assert scene.rows.count() == ROWS
                assert [item.number for item in scene.rows.iterator(10)] == list(range(ROWS))
    finally:
        time_limits.current = no_limits
    # Whatever has interrupted it, the next task has no limit.
    assert scene.database.fetch("show statement_timeout") == [("0",)]


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
        # A row of its own: an interrupted run is rolled back a moment later.
        item = scene.write()
        assert scene.items.select_for_update().get(pk=item.pk).pk == item.pk


# Server-side cursors


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


# Features of one driver


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


@program(driver="psycopg", is_swallowed=True)
def stream_left(scene: Scene) -> None:
    scene.database.connection.ensure_connection()
    cursor = scene.database.connection.connection.cursor()
    assert next(iter(cursor.stream("select generate_series(1, 50)"))) == (1,)


@program(driver="psycopg", is_swallowed=True)
def pipeline(scene: Scene) -> None:
    scene.database.connection.ensure_connection()
    with scene.database.connection.connection.pipeline():
        cursors = [scene.database.connection.connection.execute("select %s::int", [number]) for number in range(3)]
    assert [cursor.fetchone() for cursor in cursors] == [(0,), (1,), (2,)]
