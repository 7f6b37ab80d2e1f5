"""The functions that tests call in fresh processes with a tracer, see tests.support.tracers and .program."""

from __future__ import annotations

import json
import time
from typing import Any

from .tasks import Interruption, Task, is_interruption, results
from .tracers import Spans


def start(tracer: str) -> Spans:
    """Start a tracer, and then Django."""
    from . import tracers

    spans: Spans = getattr(tracers, tracer)()
    import django

    django.setup()
    return spans


def trace(tracer: str) -> None:
    """Print the spans of a program that uses the database in every way."""
    spans = start(tracer)
    use_database()
    print(json.dumps(spans()))


def use_database() -> None:
    from django.db import DatabaseError, connection, transaction

    from tests.testapp.models import Item

    with connection.cursor() as cursor:
        cursor.execute("select %s::int", [7])
        assert cursor.fetchone() == (7,)
        cursor.executemany("select %s::int", [(1,), (2,)])
    item = Item.objects.create(name="traced", data={"a": [1]})
    assert Item.objects.get(pk=item.pk).data == {"a": [1]}
    with transaction.atomic():
        Item.objects.filter(pk=item.pk).update(number=1)
        with transaction.atomic():
            assert [row.name for row in Item.objects.filter(pk=item.pk).iterator(1)] == ["traced"]
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("select 1 / 0")
        except DatabaseError:
            pass
    assert [row.number for row in Item.objects.filter(pk=item.pk).iterator(1)] == [1]
    item.delete()
    connection.close()


def interrupt(tracer: str, how: Interruption) -> None:
    """Interrupt tasks in mid-query, while they wait, and while they connect; print the number of spans."""
    spans = start(tracer)
    for _ in range(3):
        interrupt_queries(how)
        interrupt_connects(how)
    assert not running("pg_sleep(600)")
    assert_whole()
    print(json.dumps(spans()))


def interrupt_queries(how: Interruption) -> None:
    from django_geventpool import pools

    from .waiting import eventually

    victims = [Task(ask, "select pg_sleep(600)") for _ in range(LIMIT)]
    eventually(lambda: [h.state for h in pool().holders()] == ["active"] * LIMIT, "all connections in use")
    waiters = [Task(ask, "select %s::int", number) for number in range(20)]
    eventually(lambda: pools["default"].stats().waiting == 20, "all others to wait")
    for task in (*victims, *waiters[::2]):
        task.interrupt(how)
    assert results(waiters[1::2]) == list(range(1, 20, 2))
    for task in (*victims, *waiters[::2]):
        task.wait()
        assert is_interruption(task.error), repr(task.error)
    eventually(lambda: not running("pg_sleep(600)"), "the queries gone from the server")
    eventually(lambda: pools["default"].stats().cancelled == LIMIT, "all that were closed to be gone")


def interrupt_connects(how: Interruption) -> None:
    from django_geventpool import pools

    victims: list[Task[Any]] = []
    # A task may have connected before the interruption arrives.
    while not any(is_interruption(victim.error) for victim in victims):
        pools.close("default")
        victims = [Task(ask, "select 1") for _ in range(LIMIT)]
        while pool().stats().connecting == 0 and not all(victim.ended for victim in victims):
            time.sleep(0)
        for victim in victims:
            victim.interrupt(how)
        for victim in victims:
            victim.wait()
        assert all(victim.error is None or is_interruption(victim.error) for victim in victims), [
            victim.error for victim in victims
        ]
    assert_whole()
    pools.close("default")


LIMIT = 4


def pool() -> Any:
    """Return the pool, which is made if there is none yet."""
    from django.db import connection

    return connection.obtain_pool()


def ask(sql: str, *parameters: object) -> Any:
    from django.db import connection

    try:
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchone()[0]
    finally:
        connection.close()


def running(text: str) -> list[tuple[Any, ...]]:
    """Return the role's sessions that are running a query with this text."""
    return Task(_running, text).result()


def _running(text: str) -> list[tuple[Any, ...]]:
    from django.db import connection

    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "select pid from pg_stat_activity where usename = current_user and state = 'active'"
                " and pid <> pg_backend_pid() and query like %s",
                [f"%{text}%"],
            )
            return list(cursor.fetchall())
    finally:
        connection.close()


def assert_whole() -> None:
    """Assert that all connections can be used at the same time, and that the server has refused none."""
    import threading

    from django.db import connection, transaction

    from .waiting import DEADLINE, eventually

    held: list[int] = []
    all_held = threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                with connection.cursor() as cursor:
                    cursor.execute("select pg_backend_pid()")
                    held.append(cursor.fetchone()[0])
                assert all_held.wait(DEADLINE)
        finally:
            connection.close()

    tasks = [Task(hold) for _ in range(LIMIT)]
    eventually(lambda: len(held) == LIMIT or any(task.ended for task in tasks), f"all connections lent: {pool()}")
    all_held.set()
    results(tasks)
    assert len(set(held)) == LIMIT
    stats = pool().stats()
    assert stats.size <= LIMIT, stats
