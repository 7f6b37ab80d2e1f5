"""Law 9 for all kinds of greenlets, however they end and whoever still refers to them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import greenlet
import pytest

from django_geventpool.pool import Pool, upkeep
from django_geventpool.pool.upkeep import HOLDER_POLL_INTERVAL
from tests.support import inside
from tests.support.pool_states import assert_whole, await_stats
from tests.support.tasks import FRAMEWORK, Interruption, Task
from tests.support.waiting import eventually

from .conftest import Borrow, MakePool

pytestmark = pytest.mark.frameworks("gevent", "eventlet")


def spawn_raw(function: Callable[[], object]) -> Any:
    """Start a greenlet of none of the framework's own classes, and return it."""
    if FRAMEWORK == "gevent":
        import gevent

        return gevent.spawn_raw(function)
    import eventlet

    raw = greenlet.greenlet(function, parent=eventlet.hubs.get_hub().greenlet)
    eventlet.hubs.get_hub().schedule_call_global(0, raw.switch)
    return raw


@pytest.mark.parametrize("how", ["kill", "timeout"])
def test_a_killed_holder_gives_up_its_connection(make_pool: MakePool, borrow: Borrow, how: Interruption) -> None:
    pool = make_pool(MAX_CONNS=1)
    holder = borrow(pool).taken()
    holder.gives_back = False
    holder.task.interrupt(how)
    holder.task.wait()
    await_stats(pool, reclaimed=1, size=0)
    assert_whole(pool)


def test_a_raw_greenlet_that_ends_gives_up_its_connection(make_pool: MakePool) -> None:
    pool = make_pool(MAX_CONNS=1)
    raw = spawn_raw(pool.getconn)
    eventually(lambda: raw.dead, "the greenlet's end")
    # There is still a reference to the ended greenlet.
    await_stats(pool, reclaimed=1, size=0)
    assert raw.dead
    assert_whole(pool)


def test_a_raw_greenlet_that_nobody_refers_to_gives_up_its_connection(make_pool: MakePool) -> None:
    pool = make_pool(MAX_CONNS=1)
    if FRAMEWORK == "gevent":
        spawn_raw(pool.getconn)
    else:
        import eventlet

        eventlet.spawn_n(pool.getconn)
    await_stats(pool, reclaimed=1, size=0)
    assert_whole(pool)


def test_a_raw_greenlet_that_has_waited_gives_up_its_connection(make_pool: MakePool, borrow: Borrow) -> None:
    pool = make_pool(MAX_CONNS=1, CONN_IDLE_TIMEOUT=None, CONN_MAX_LIFETIME=None, CONN_WAIT_TIMEOUT=None)
    holder = borrow(pool).taken()
    raw = spawn_raw(pool.getconn)
    await_stats(pool, waiting=1)
    soon = time.monotonic() + 2 * HOLDER_POLL_INTERVAL
    eventually(
        lambda: inside.wakes_at(pool) > soon or FRAMEWORK == "eventlet", "a housekeeper that expects nothing soon"
    )
    holder.give_back()
    eventually(lambda: raw.dead, "the greenlet's end")
    await_stats(pool, reclaimed=1, size=0)


def test_a_raw_greenlet_that_fails_gives_up_its_connection(make_pool: MakePool) -> None:
    pool = make_pool(MAX_CONNS=1)

    def fail() -> None:
        pool.getconn()
        raise greenlet.GreenletExit

    raw = spawn_raw(fail)
    await_stats(pool, reclaimed=1, size=0)
    assert raw.dead


def test_a_raw_greenlet_that_gives_back_is_nobodys_concern(
    make_pool: MakePool, caplog: pytest.LogCaptureFixture
) -> None:
    pool = make_pool(MAX_CONNS=1)
    raw = spawn_raw(lambda: pool.putconn(pool.getconn()))
    eventually(lambda: raw.dead, "the greenlet's end")
    await_stats(pool, idle=1, reclaimed=0)
    assert not caplog.records


def test_the_end_of_a_greenlet_is_noticed_without_looking(
    make_pool: MakePool, borrow: Borrow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end itself wakes the housekeeper, whose next look is not due."""
    monkeypatch.setattr(upkeep, "BACKSTOP", 1000.0)
    monkeypatch.setattr(upkeep, "HOLDER_POLL_INTERVAL", 1000.0)
    pool = make_pool(MAX_CONNS=1, CONN_IDLE_TIMEOUT=None, CONN_MAX_LIFETIME=None)
    borrow(pool).taken().end_without_giving_back()
    await_stats(pool, reclaimed=1, size=0)


def test_what_a_late_callback_takes_is_reclaimed_too(make_pool: MakePool) -> None:
    """Callbacks of eventlet's links run in the greenlet after its end was recorded; gevent's run elsewhere."""
    pool = make_pool(MAX_CONNS=1)
    taken = []

    def use(pool: Pool) -> None:
        pool.putconn(pool.getconn())

    def late(_greenlet: object) -> None:
        taken.append(pool.getconn())

    if FRAMEWORK == "gevent":
        import gevent

        task = gevent.spawn(use, pool)
        task.link(late)
    else:
        import eventlet

        task = eventlet.spawn(lambda: (use(pool), task.link(late)))
    await_stats(pool, reclaimed=1, size=0)
    assert taken
    assert_whole(pool)


def test_a_late_callback_waits_its_turn(make_pool: MakePool, borrow: Borrow) -> None:
    pool = make_pool(MAX_CONNS=1)
    done = []

    def late(_greenlet: object) -> None:
        pool.putconn(pool.getconn())
        done.append(True)

    def use() -> None:
        pool.putconn(pool.getconn())
        if FRAMEWORK == "gevent":
            import gevent

            gevent.getcurrent().link(late)
        else:
            import eventlet

            eventlet.getcurrent().link(late)
        blocker.append(borrow(pool).taken())

    blocker: list[Any] = []
    Task(use)
    eventually(lambda: blocker, "somebody who has the only connection")
    await_stats(pool, waiting=1)
    blocker[0].give_back()
    eventually(lambda: done, "the late callback's end")
