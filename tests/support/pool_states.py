"""States of a pool that tests wait for and assert."""

from __future__ import annotations

from collections.abc import Callable

from django_geventpool.pool import Pool, PoolStats

from .borrower import Borrower
from .waiting import DEADLINE, eventually


def await_stats(pool: Pool, **numbers: int) -> PoolStats:
    """Wait until a pool has these numbers; return all of its numbers."""

    def fits() -> PoolStats | None:
        stats = pool.stats()
        return stats if all(getattr(stats, name) == number for name, number in numbers.items()) else None

    what = ", ".join(f"{name} {number}" for name, number in numbers.items())
    try:
        return eventually(fits, what)
    except AssertionError as error:
        raise AssertionError(f"{error}: {pool}") from None


def queue_up(pool: Pool, borrow: Callable[[], Borrower], count: int) -> list[Borrower]:
    """Start borrowers one after the other, each once the one before it waits; return them."""
    waiters = []
    before = pool.stats().waiting
    for number in range(1, count + 1):
        waiters.append(borrow())
        await_stats(pool, waiting=before + number)
    return waiters


def assert_whole(pool: Pool) -> None:
    """Assert that no connection is held or waited for, and that all can be lent at the same time."""
    await_stats(pool, in_use=0, waiting=0, connecting=0, closing=0)
    limit = pool.stats().limit
    # Not the pool's own timeout: after the server was full, the first may have to wait for a while.
    borrowers = [Borrower(pool, timeout=DEADLINE) for _ in range(limit)]
    for borrower in borrowers:
        borrower.taken()
    assert pool.stats().in_use == limit
    assert len({borrower.connection for borrower in borrowers}) == limit
    for borrower in borrowers:
        borrower.give_back()
    await_stats(pool, in_use=0, waiting=0, connecting=0, closing=0)
