"""A connect of several attempts: a failed attempt's connection counts until it is closed, and nobody waits for that."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from django_geventpool.options import PoolOptions
from django_geventpool.pool import Pool
from tests.support.borrower import Borrower
from tests.support.pool_states import assert_whole, await_stats
from tests.support.scripted import Refused, ScriptedConnection, ScriptedDriver


class TryingDriver(ScriptedDriver):
    """Fails with the first address; the second accepts, unless none does."""

    def __init__(self) -> None:
        super().__init__()
        self.attempts = 2
        self.closes_at_once = False

    def connect(self, opening: Callable[[ScriptedConnection | None], None], badge: str = "") -> ScriptedConnection:
        for _ in range(self.attempts - 1):
            failed = super().connect(opening)
            if self.closes_at_once:
                self.live.discard(failed)
                opening(None)
        return super().connect(opening)


@pytest.fixture
def driver() -> TryingDriver:
    return TryingDriver()


@pytest.fixture
def pool(driver: TryingDriver) -> Iterator[Pool]:
    pool = Pool("test", driver, PoolOptions(MAX_CONNS=2, CONN_WAIT_TIMEOUT=30))
    yield pool
    pool.close()
    await_stats(pool, size=0)
    assert not driver.live


def test_what_an_attempt_leaves_counts_until_it_is_closed(driver: TryingDriver, pool: Pool) -> None:
    server_lets_go = threading.Event()
    driver.script("close", server_lets_go.wait)
    first = Borrower(pool)
    first.taken()
    stats = await_stats(pool, in_use=1, closing=1)
    assert stats.size == 2
    driver.attempts = 1
    second = Borrower(pool)
    await_stats(pool, waiting=1, connecting=0)
    server_lets_go.set()
    second.taken()
    await_stats(pool, in_use=2, closing=0)
    for borrower in (first, second):
        borrower.give_back()
    assert_whole(pool)
    assert driver.peak == 2


def test_what_an_attempt_leaves_costs_no_connection_that_is_sound(driver: TryingDriver, pool: Pool) -> None:
    server_lets_go = threading.Event()
    driver.script("close", server_lets_go.wait, server_lets_go.wait)
    # Each has its slot before the other one's attempt leaves a connection behind.
    both = threading.Barrier(2)
    driver.script("connect", both.wait, both.wait)
    borrowers = [Borrower(pool) for _ in range(2)]
    for borrower in borrowers:
        borrower.taken()
    await_stats(pool, in_use=2, closing=2)
    for borrower in borrowers:
        borrower.give_back()
    await_stats(pool, idle=2, closing=2)
    server_lets_go.set()
    assert_whole(pool)
    assert pool.stats().connects == 2


def test_what_is_known_to_be_gone_does_not_count(driver: TryingDriver, pool: Pool) -> None:
    driver.closes_at_once = True
    borrower = Borrower(pool)
    borrower.taken()
    assert pool.stats().size == 1
    borrower.give_back()
    assert driver.count("close") == 0


def test_all_that_failed_is_closed(driver: TryingDriver, pool: Pool) -> None:
    driver.attempts = 3
    driver.script("opened", None, None, Refused("no"))
    with pytest.raises(Refused):
        pool.getconn()
    await_stats(pool, size=0)
    assert driver.count("close") == 3
    driver.attempts = 1
    assert_whole(pool)
