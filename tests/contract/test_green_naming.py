"""The names of greenlets that hold a connection, or end with one: what they run, and who started them."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

import pytest

from django_geventpool.errors import PoolTimeout
from django_geventpool.pool import Pool, naming
from tests.support.pool_states import await_stats
from tests.support.tasks import FRAMEWORK, Task
from tests.support.waiting import eventually

from .conftest import Borrow, MakePool

pytestmark = pytest.mark.frameworks("gevent", "eventlet")

HERE = __name__


def spawn(function: Callable[..., object], *args: Any) -> Any:
    """Start a greenlet of the framework's class."""
    if FRAMEWORK == "gevent":
        import gevent

        return gevent.spawn(function, *args)
    import eventlet

    return eventlet.spawn(function, *args)


def spawn_in_pool(function: Callable[..., object], *args: Any) -> Any:
    if FRAMEWORK == "gevent":
        from gevent.pool import Pool as GreenletPool

        return GreenletPool(5).spawn(function, *args)
    from eventlet import GreenPool

    return GreenPool(5).spawn(function, *args)


def spawn_later(function: Callable[..., object], *args: Any) -> Any:
    if FRAMEWORK == "gevent":
        import gevent

        return gevent.spawn_later(0, function, *args)
    import eventlet

    return eventlet.spawn_after(0, function, *args)


def spawn_raw(function: Callable[..., object], *args: Any) -> Any:
    if FRAMEWORK == "gevent":
        import gevent

        return gevent.spawn_raw(function, *args)
    import eventlet

    return eventlet.spawn_n(function, *args)


def spawn_thread(function: Callable[..., object], *args: Any) -> Any:
    thread = threading.Thread(target=function, args=args, name="fetcher")
    thread.start()
    return thread


WAYS = [spawn, spawn_in_pool, spawn_later, spawn_raw]


def forget(pool: Pool) -> None:
    """Take a connection, and end without giving it back."""
    pool.getconn()


class Worker:
    def forget(self, pool: Pool) -> None:
        pool.getconn()

    def __call__(self, pool: Pool) -> None:
        pool.getconn()


class Proxy:
    """A callable whose attributes must not be read."""

    def __call__(self, pool: Pool) -> None:
        pool.getconn()

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(f"there is no object behind this one to ask for {name}")


@pytest.fixture
def warning(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Return the one warning of an abandoned connection."""

    def texts() -> list[str]:
        messages = [record.getMessage() for record in caplog.records]
        return [message for message in messages if "ended without giving" in message]

    def wait() -> str:
        (text,) = eventually(texts, "a warning")
        return text

    return wait


@pytest.mark.parametrize("start", WAYS)
def test_an_abandoned_greenlet_is_named_by_its_function_and_the_task_that_started_it(
    make_pool: MakePool, warning: Callable[[], str], start: Callable[..., Any]
) -> None:
    pool = make_pool(MAX_CONNS=1)
    started: list[object] = []

    def task() -> None:
        naming.mark("task shop.tasks.index[42]")
        started.append(start(forget, pool))

    # A worker too keeps its tasks' greenlets for a while.
    kept = Task(task)
    kept.result()
    await_stats(pool, reclaimed=1)
    assert f"({HERE}.forget, started by task shop.tasks.index[42]) ended without giving" in warning()


def test_a_patched_thread_is_named_by_its_name(make_pool: MakePool, warning: Callable[[], str]) -> None:
    pool = make_pool(MAX_CONNS=1)

    def task() -> None:
        naming.mark("task shop.tasks.index[42]")
        spawn_thread(forget, pool)

    Task(task).result()
    await_stats(pool, reclaimed=1)
    assert "(thread fetcher, started by task shop.tasks.index[42]) ended without giving" in warning()


def test_so_is_one_that_was_started_by_another(make_pool: MakePool, warning: Callable[[], str]) -> None:
    pool = make_pool(MAX_CONNS=1)
    go_on = threading.Event()

    def task() -> None:
        naming.mark("task shop.tasks.index[42]")
        started.append(spawn(middle))

    def middle() -> None:
        started.append(spawn(forget, pool))
        go_on.wait()

    started: list[object] = []
    task_itself = spawn(task)
    await_stats(pool, reclaimed=1)
    go_on.set()
    assert "started by task shop.tasks.index[42]) ended without giving" in warning()
    assert task_itself.dead


def test_without_a_task_the_greenlet_that_started_it_is_named(make_pool: MakePool, warning: Callable[[], str]) -> None:
    pool = make_pool(MAX_CONNS=1)

    def starter() -> None:
        started.append(spawn(forget, pool))
        await_stats(pool, reclaimed=1)

    started: list[object] = []
    by = spawn(starter)
    await_stats(pool, reclaimed=1)
    assert f"({HERE}.forget, started by greenlet {id(by):#x} ({HERE}." in warning()
    eventually(lambda: by.dead, "its end")


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (functools.partial(functools.partial(forget)), "forget"),
        (Worker().forget, "Worker.forget"),
        (Worker(), "Worker"),
        (Proxy(), "Proxy"),
    ],
    ids=["partial", "method", "object", "proxy"],
)
def test_all_kinds_of_functions_have_a_name(
    make_pool: MakePool, warning: Callable[[], str], function: Callable[..., object], name: str
) -> None:
    pool = make_pool(MAX_CONNS=1)
    spawn(function, pool)
    await_stats(pool, reclaimed=1)
    assert f"({HERE}.{name}) ended without giving" in warning()


def test_a_timeout_names_the_greenlet_that_holds_longest(make_pool: MakePool, borrow: Borrow) -> None:
    pool = make_pool(MAX_CONNS=1)
    told = threading.Event()

    def keep() -> None:
        connection = pool.getconn()
        told.wait()
        pool.putconn(connection)

    holder = spawn(keep)
    await_stats(pool, in_use=1)
    with pytest.raises(PoolTimeout, match=rf"longest holder greenlet {id(holder):#x} \({HERE}\..*keep\) for "):
        pool.getconn(timeout=0)
    told.set()
    await_stats(pool, idle=1)


def test_the_main_greenlet_is_called_so(make_pool: MakePool) -> None:
    pool = make_pool(MAX_CONNS=1)
    connection = pool.getconn()
    assert (pool.stats().longest_holder or "").endswith("(main)")
    pool.putconn(connection)
