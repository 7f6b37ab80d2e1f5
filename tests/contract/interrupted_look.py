"""What an exception costs that comes out of a look at the server's session list, over a connection that comes back."""

from __future__ import annotations

from collections.abc import Callable

from django_geventpool.pool import Pool
from tests.support.pool_states import assert_whole, queue_up
from tests.support.scripted import ScriptedDriver, ScriptedError

from .conftest import Borrow


def assert_costs_one_connection(
    error: BaseException, driver: ScriptedDriver, pool: Pool, borrow: Borrow, have_due: Callable[[Pool], None]
) -> None:
    """Assert that an error of the driver's is nobody's, that others are raised, and that each costs that connection.

    :param pool: one with two connections at the most.
    :param have_due: lets a look of the pool be due.
    """
    first, second = borrow(pool).taken(), borrow(pool).taken()
    (waiter,) = queue_up(pool, lambda: borrow(pool), 1)
    driver.script("look", error)
    have_due(pool)
    first.tell()
    first.task.wait()
    assert first.error is (None if isinstance(error, ScriptedError) else error)
    assert waiter.taken().connection is not first.connection
    assert first.connection.closed
    second.give_back()
    waiter.give_back()
    assert driver.peak == 2
    assert_whole(pool)
