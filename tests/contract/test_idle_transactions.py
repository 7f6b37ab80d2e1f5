"""IDLE_IN_TRANSACTION_WARNING_AFTER: what counts as one transaction that does nothing."""

from __future__ import annotations

import pytest

from django_geventpool.pool import Pool
from django_geventpool.pool.driver import Use
from django_geventpool.pool.idle_transactions import IdleTransactions
from tests.support import inside
from tests.support.scripted import ScriptedConnection, ScriptedDriver

from .conftest import MakePool


@pytest.fixture
def pool(make_pool: MakePool) -> Pool:
    return make_pool(MAX_CONNS=2)


@pytest.fixture
def watched(make_pool: MakePool, driver: ScriptedDriver, pool: Pool) -> IdleTransactions:
    """What looks at the pool's connections when the test says so, with the time in whole minutes."""
    state = inside.state(pool)
    state.options = make_pool(IDLE_IN_TRANSACTION_WARNING_AFTER=60).options
    return IdleTransactions(driver, state)


def found_at(watched: IdleTransactions, minute: int) -> list[float]:
    """Return for how many seconds the transactions have done nothing of which a look warns."""
    return [transaction.seconds for transaction in watched.observe(60.0 * minute)]


def begin(connection: ScriptedConnection) -> None:
    connection.is_in_transaction = True
    connection.use = Use(connection.use.ended, connection.use.uses + 1)


def end(connection: ScriptedConnection) -> None:
    connection.is_in_transaction = False
    connection.use = Use(connection.use.ended + 1, connection.use.uses + 1)


def test_a_transaction_is_found_once_even_if_it_goes_on_for_a_while(pool: Pool, watched: IdleTransactions) -> None:
    connection = pool.getconn()
    begin(connection)
    assert [found_at(watched, minute) for minute in range(4)] == [[], [60.0], [], []]
    connection.is_active = True
    assert found_at(watched, 4) == []
    connection.is_active = False
    connection.use = Use(0, 2)
    assert [found_at(watched, minute) for minute in range(5, 8)] == [[], [], []]
    pool.putconn(connection)


def test_the_next_transaction_is_found_even_if_no_look_came_between_the_two(
    pool: Pool, watched: IdleTransactions
) -> None:
    connection = pool.getconn()
    begin(connection)
    assert [found_at(watched, minute) for minute in range(2)] == [[], [60.0]]
    end(connection)
    begin(connection)
    assert [found_at(watched, minute) for minute in range(2, 5)] == [[], [60.0], []]
    pool.putconn(connection)


def test_the_next_holder_of_a_connection_begins_anew(pool: Pool, watched: IdleTransactions) -> None:
    connection = pool.getconn()
    begin(connection)
    assert found_at(watched, 0) == []
    pool.putconn(connection)
    assert pool.getconn() is connection
    assert [found_at(watched, minute) for minute in range(1, 3)] == [[], [60.0]]
    pool.putconn(connection)


def test_one_that_does_something_between_looks_is_not_found(pool: Pool, watched: IdleTransactions) -> None:
    connection = pool.getconn()
    for minute in range(5):
        begin(connection)
        assert found_at(watched, minute) == []
    pool.putconn(connection)


def test_a_connection_outside_of_transactions_or_in_a_query_is_not_found(pool: Pool, watched: IdleTransactions) -> None:
    idle, active = pool.getconn(), pool.getconn()
    active.is_active = active.is_in_transaction = True
    assert [found_at(watched, minute) for minute in range(5)] == [[]] * 5
    pool.putconn(idle)
    pool.putconn(active)
