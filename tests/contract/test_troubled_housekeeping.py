"""Whatever other code does to the housekeeper, waiters are served and slots come back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest

from django_geventpool import green
from django_geventpool.errors import PoolTimeout
from django_geventpool.pool import Pool, alarms
from django_geventpool.pool import holder as holders
from tests.support.pool_states import assert_whole, await_stats, queue_up
from tests.support.scripted import ScriptedDriver
from tests.support.waiting import DEADLINE, eventually

from .conftest import Borrow, MakePool


class UsesThePool(logging.Handler):
    """A log handler that writes to the database whose pool has logged."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(logging.WARNING)
        self.pool = pool
        self.written = threading.Semaphore(0)

    def emit(self, record: logging.LogRecord) -> None:
        self.pool.putconn(self.pool.getconn(timeout=None))
        self.written.release()


class Refuses(logging.Filter):
    """A log filter that raises; logging passes that on."""

    def filter(self, record: logging.LogRecord) -> bool:
        raise LookupError("a broken filter")


@pytest.fixture
def pool_logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("geventpool.pool")
    handlers, filters = logger.handlers[:], logger.filters[:]
    yield logger
    logger.handlers[:], logger.filters[:] = handlers, filters


def test_a_log_handler_that_waits_for_a_connection_stops_no_timeout(
    make_pool: MakePool, borrow: Borrow, monkeypatch: pytest.MonkeyPatch, pool_logger: logging.Logger
) -> None:
    monkeypatch.setattr(alarms, "WAIT_WARNING_AFTER", 0.02)
    pool = make_pool(MAX_CONNS=1, CONN_WAIT_TIMEOUT=1)
    handler = UsesThePool(pool)
    pool_logger.addHandler(handler)
    holder = borrow(pool).taken()
    with pytest.raises(PoolTimeout):
        borrow(pool).taken()
    await_stats(pool, waiting=1)  # The handler.
    holder.give_back()
    assert handler.written.acquire(timeout=DEADLINE)
    assert_whole(pool)


def test_a_filter_that_raises_costs_no_slot(
    make_pool: MakePool, borrow: Borrow, pool_logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The exceptions that threads end with need not be printed.
    monkeypatch.setattr(threading, "excepthook", lambda *_: None)
    pool_logger.addFilter(Refuses())
    pool = make_pool(MAX_CONNS=4)
    holders_of_all = [borrow(pool).taken() for _ in range(4)]
    for holder in holders_of_all:
        holder.end_without_giving_back()
    await_stats(pool, reclaimed=4, size=0)
    assert_whole(pool)


def test_without_a_housekeeper_waiters_watch_the_time_themselves(
    make_pool: MakePool, borrow: Borrow, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = make_pool(MAX_CONNS=1)

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(green, "start_thread", refuse)
        connection = pool.getconn()
        with pytest.raises(PoolTimeout):
            pool.getconn(timeout=0.05)
        pool.putconn(connection)
    assert_whole(pool)


def test_a_label_that_can_not_be_shown_stops_nobody(
    make_pool: MakePool, borrow: Borrow, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Unspeakable:
        def __str__(self) -> str:
            raise UnicodeError

    monkeypatch.setattr(holders, "describe", Unspeakable)
    pool = make_pool(MAX_CONNS=1, CONN_WAIT_TIMEOUT=0.05)
    holder = borrow(pool).taken()
    waiters = [borrow(pool) for _ in range(3)]
    for waiter in waiters:
        with pytest.raises(PoolTimeout, match="longest holder <Unspeakable>"):
            waiter.taken()
    assert [held.holder for held in pool.holders()] == ["<Unspeakable>"]
    holder.give_back()


def test_one_wait_for_a_full_server_counts_once_and_is_warned_of(
    driver: ScriptedDriver,
    make_pool: MakePool,
    borrow: Borrow,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(alarms, "WAIT_WARNING_AFTER", 0.3)
    pool = make_pool(MAX_CONNS=1, CONN_WAIT_TIMEOUT=None)
    driver.capacity = 0
    with caplog.at_level(logging.WARNING, "geventpool.pool"):
        (waiter,) = queue_up(pool, lambda: borrow(pool), 1)
        eventually(lambda: len(caplog.records) == 1, "a warning of the wait")
    assert pool.stats().failed_connects > 1
    driver.capacity = None
    waiter.taken().give_back()
    stats = pool.stats()
    assert stats.waits == 1
    assert stats.wait_time.total >= 0.3
