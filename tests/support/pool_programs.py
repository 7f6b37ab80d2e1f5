"""Small programs about connections and the pool."""

from __future__ import annotations

from django.db import connections, transaction

from django_geventpool import pools
from django_geventpool.utils import close_connection, pinned

from .program_registry import program
from .scene import LIMIT, ROWS, Scene
from .tasks import FRAMEWORK, Task
from .waiting import eventually

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


@program(Scene.make_other)
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


# The pool's upkeep


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


# Other holders


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
        eventually(lambda: any(held.state == "active" for held in scene.pool.holders()) or victim.ended, "the query")
        victim.interrupt()
        victim.wait()
        assert scene.rows.count() == ROWS
