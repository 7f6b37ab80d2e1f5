"""Fixtures: pools on a scripted driver, in a process of each framework."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import pytest
from hypothesis import settings

from django_geventpool.options import PoolOptions
from django_geventpool.pool import Pool
from tests.support import inside
from tests.support.borrower import Borrower
from tests.support.scripted import ScriptedDriver
from tests.support.waiting import eventually

settings.register_profile("ci", derandomize=True, deadline=None, database=None)
settings.load_profile("ci")


class MakePool(Protocol):
    """Makes a pool for the test, with the options as keyword arguments."""

    def __call__(self, **options: Any) -> Pool: ...


class Borrow(Protocol):
    """Starts a task that borrows a connection; the test's end gives back what is left."""

    def __call__(self, pool: Pool, *, order: list[Borrower] | None = None, **arguments: Any) -> Borrower: ...


@pytest.fixture
def driver() -> ScriptedDriver:
    return ScriptedDriver()


@pytest.fixture
def make_pool(driver: ScriptedDriver) -> Iterator[MakePool]:
    """Make pools of this test. At its end, each must have closed all connections that it has opened."""
    pools = []

    def make(**options: Any) -> Pool:
        pool = Pool("test", driver, PoolOptions(**options))
        if driver.take_census is None:
            inside.give_up_the_list(pool)
        pools.append(pool)
        return pool

    yield make
    for pool in pools:
        pool.close()
        eventually(lambda pool=pool: pool.stats().size == 0, f"an empty pool after close(): {pool}")
    assert not driver.live, "the pool has forgotten connections"


@pytest.fixture
def borrow(make_pool: MakePool) -> Iterator[Borrow]:
    """Start tasks that borrow."""
    borrowers = []

    def start(pool: Pool, *, order: list[Borrower] | None = None, **arguments: Any) -> Borrower:
        borrower = Borrower(pool, order=order, **arguments)
        borrowers.append(borrower)
        return borrower

    yield start
    for borrower in borrowers:
        borrower.tell()
    for borrower in borrowers:
        borrower.task.wait()
