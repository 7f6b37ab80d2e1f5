"""The use of a pool by task: what is counted, under which name, and what is said of connections that are held idle."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from django_geventpool.errors import PoolTimeout
from django_geventpool.pool import Pool, TaskUse, idle_watch, naming, use_by_task
from django_geventpool.pool import holder as holders
from tests.support import inside
from tests.support.pool_states import queue_up
from tests.support.scripted import ScriptedConnection, ScriptedDriver
from tests.support.tasks import Task
from tests.support.waiting import eventually

from .conftest import Borrow, MakePool

WARNING = "others wait while"


@dataclass(frozen=True)
class Label:
    name: str

    def __str__(self) -> str:
        return f"task {self.name}[1]"


SetTask = Callable[[str], None]


@pytest.fixture
def set_task(monkeypatch: pytest.MonkeyPatch) -> SetTask:
    """Return a function that names the task which asks for connections from now on, whoever asks."""
    return lambda name: monkeypatch.setattr(holders, "describe", lambda: Label(name))


def use_of(pool: Pool, task: str) -> TaskUse:
    (use,) = (use for use in pool.use_by_task() if use.task == task)
    return use


def test_checkouts_times_and_timeouts_are_counted_by_task_and_add_up(
    make_pool: MakePool, borrow: Borrow, set_task: SetTask
) -> None:
    pool = make_pool(MAX_CONNS=1)
    set_task("shop.a")
    first = borrow(pool).taken()
    inside.slot_of(pool, first.connection).since -= 3
    assert (use_of(pool, "shop.a").in_use, use_of(pool, "shop.a").checkouts) == (1, 1)
    assert use_of(pool, "shop.a").longest_held >= 3
    assert use_of(pool, "shop.a").held >= 3, "the use of now counts"
    set_task("shop.b")
    with pytest.raises(PoolTimeout):
        pool.getconn(timeout=0.01)
    (second,) = queue_up(pool, lambda: borrow(pool), 1)
    assert use_of(pool, "shop.b").waiting == 1
    first.give_back()
    second.taken().give_back()
    a, b = use_of(pool, "shop.a"), use_of(pool, "shop.b")
    assert (a.use_time.count, a.wait_time.count, a.timeouts, a.in_use) == (1, 0, 0, 0)
    assert (b.use_time.count, b.wait_time.count, b.timeouts, b.waiting) == (1, 2, 1, 0)
    stats = pool.stats()
    assert (stats.use_time.count, stats.wait_time.count) == (2, 2)
    assert stats.use_time.total == pytest.approx(a.use_time.total + b.use_time.total)
    assert pool.use_by_task()[0].task == "shop.a", "who held for longest is first"


def test_outside_of_tasks_the_name_is_empty(make_pool: MakePool) -> None:
    pool = make_pool()
    assert [use.task for use in pool.use_by_task()] == [use_by_task.NO_TASK]
    pool.putconn(pool.getconn())
    assert use_of(pool, use_by_task.NO_TASK).checkouts == 1


def test_pins_and_kills_are_counted(make_pool: MakePool, set_task: SetTask) -> None:
    pool = make_pool()
    set_task("shop.a")
    connection = pool.getconn()
    slot = inside.slot_of(pool, connection)
    pool.count_pins(["setting", "listen"], slot.request)
    inside.under_lock(pool, inside.state(pool).evict, slot, "killed")
    inside.closer(pool).close(slot)
    use = use_of(pool, "shop.a")
    assert (use.pinned, use.killed, use.use_time.count) == (1, 1, 1)


def test_the_number_of_names_is_limited_and_nothing_is_lost(make_pool: MakePool, set_task: SetTask) -> None:
    pool = make_pool(MAX_CONNS=1)
    set_task("heavy")
    connection = pool.getconn()
    inside.slot_of(pool, connection).since -= 1000
    pool.putconn(connection)
    number = 3 * use_by_task.LIMIT
    for index in range(number):
        set_task(f"t{index}")
        pool.putconn(pool.getconn())
        assert len(pool.use_by_task()) <= use_by_task.LIMIT + 1
    assert use_of(pool, "heavy").checkouts == 1, "who uses the pool most keeps its name"
    assert use_of(pool, use_by_task.OTHER).checkouts > 0
    assert sum(use.checkouts for use in pool.use_by_task()) == number + 1


@pytest.mark.parametrize("name", ["a\nERROR b", "x" * 10_000])
def test_a_name_can_be_shown_and_has_one_row(make_pool: MakePool, set_task: SetTask, name: str) -> None:
    pool = make_pool()
    set_task(name)
    for _ in range(2):
        pool.putconn(pool.getconn())
    (use,) = (use for use in pool.use_by_task() if use.task)
    assert use.checkouts == 2
    assert use.task.isprintable()
    assert len(use.task) <= 200


@pytest.mark.frameworks("gevent", "eventlet")
def test_what_a_task_starts_counts_as_the_tasks(make_pool: MakePool) -> None:
    pool = make_pool()

    def run() -> None:
        naming.mark(Label("shop.a"))
        try:
            Task(lambda: pool.putconn(pool.getconn())).result()
        finally:
            naming.mark(None)

    Task(run).result()
    assert use_of(pool, "shop.a").checkouts == 1


def look(pool: Pool, times: int) -> None:
    """Make the housekeeper look so many times, at intervals."""
    watch = inside.idle_watch(pool)
    for _ in range(times):
        inside.under_lock(pool, setattr, watch, "_looked_at", -1e9)
        inside.keep_house(pool)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [message for message in caplog.messages if WARNING in message]


def hold(pool: Pool, borrow: Borrow, set_task: SetTask) -> ScriptedConnection:
    """Let a task hold the only connection, and another one wait for it."""
    set_task("shop.bad")
    connection: Any = borrow(pool).taken().connection
    set_task("shop.good")
    queue_up(pool, lambda: borrow(pool), 1)
    return connection


def test_a_task_that_holds_idle_while_others_wait_is_named_once(
    make_pool: MakePool, borrow: Borrow, set_task: SetTask, caplog: pytest.LogCaptureFixture
) -> None:
    pool = make_pool(MAX_CONNS=1)
    hold(pool, borrow, set_task)
    with caplog.at_level(logging.WARNING, "geventpool.pool"):
        look(pool, 40)
        eventually(lambda: warnings(caplog), "a warning")
        look(pool, 40)
    (warning,) = warnings(caplog)
    assert "shop.bad holds connections, in no query for 100% of the time" in warning
    assert "mode transaction would free 100% of the connections' time" in warning
    use = use_of(pool, "shop.bad")
    assert use.idle_share == 1
    assert use.seen["idle"] >= 80


@pytest.mark.parametrize(
    ("doing", "mode", "says", "says_not"),
    [
        ("idle in transaction", "session", "shorter transactions would free 100%", "mode transaction"),
        ("idle in transaction", "transaction", "shorter transactions would free 100%", "mode transaction"),
        ("idle", "transaction", "pins and open cursors keep 100%", "mode transaction"),
        ("active", "session", None, WARNING),
    ],
)
def test_the_advice_is_what_helps(
    driver: ScriptedDriver,
    make_pool: MakePool,
    borrow: Borrow,
    set_task: SetTask,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    doing: str,
    mode: str,
    says: str | None,
    says_not: str,
) -> None:
    pool = make_pool(MAX_CONNS=1, POOL_MODE=mode)
    hold(pool, borrow, set_task)
    monkeypatch.setattr(driver, "state", lambda connection: doing)
    with caplog.at_level(logging.WARNING, "geventpool.pool"):
        look(pool, 40)
        if says is not None:
            eventually(lambda: warnings(caplog), "a warning")
    text = " ".join(warnings(caplog))
    assert says is None or says in text
    assert says_not not in text


def test_without_waiters_nothing_is_said(
    make_pool: MakePool, borrow: Borrow, set_task: SetTask, caplog: pytest.LogCaptureFixture
) -> None:
    pool = make_pool(MAX_CONNS=1)
    set_task("shop.slow")
    borrow(pool).taken()
    with caplog.at_level(logging.WARNING, "geventpool.pool"):
        look(pool, 40)
    assert use_of(pool, "shop.slow").idle_share == 1
    assert not warnings(caplog)


def test_while_requests_wait_the_housekeeper_looks_by_itself(
    make_pool: MakePool, borrow: Borrow, set_task: SetTask
) -> None:
    pool = make_pool(MAX_CONNS=1)
    hold(pool, borrow, set_task)
    eventually(lambda: sum(use_of(pool, "shop.bad").seen.values()) >= 3, "three looks")


def test_a_driver_that_fails_while_it_is_asked_stops_nothing(
    driver: ScriptedDriver, make_pool: MakePool, borrow: Borrow, set_task: SetTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool(MAX_CONNS=1)
    connection = hold(pool, borrow, set_task)
    asked = threading.Event()

    def fail(asked_of: object) -> str:
        assert asked_of is connection
        asked.set()
        raise driver.error("closed")

    monkeypatch.setattr(driver, "state", fail)
    before = use_of(pool, "shop.bad").seen
    inside.under_lock(pool, inside.idle_watch(pool).look, idle_watch.LOOK_INTERVAL * 1e12)
    assert asked.is_set()
    assert use_of(pool, "shop.bad").seen == before
