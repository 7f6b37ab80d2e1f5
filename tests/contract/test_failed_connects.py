"""What the pool says of attempts to connect, and of the first that waits, for those who ask whether it is well."""

from __future__ import annotations

import pytest

from django_geventpool.pool import waits
from django_geventpool.pool.waits import Wait
from tests.support.scripted import Refused, ScriptedDriver, ServerFull
from tests.support.waiting import eventually

from .conftest import Borrow, MakePool


def test_a_failed_connect_is_remembered_until_one_succeeds(driver: ScriptedDriver, make_pool: MakePool) -> None:
    pool = make_pool(MAX_CONNS=1)
    assert pool.stats().connect_failed_ago is None
    driver.script("connect", Refused())
    with pytest.raises(Refused):
        pool.getconn()
    failed_ago = pool.stats().connect_failed_ago
    assert failed_ago is not None
    assert 0 <= failed_ago < 30
    pool.putconn(pool.getconn())
    assert pool.stats().connect_failed_ago is None


def test_a_full_server_is_no_failure(driver: ScriptedDriver, make_pool: MakePool) -> None:
    pool = make_pool(MAX_CONNS=1, CONN_WAIT_TIMEOUT=5)
    driver.script("connect", ServerFull())
    pool.putconn(pool.getconn())
    stats = pool.stats()
    assert (stats.failed_connects, stats.connect_failed_ago) == (1, None)


def test_the_first_that_waits_says_how_long(make_pool: MakePool, borrow: Borrow) -> None:
    pool = make_pool(MAX_CONNS=1)
    held = pool.getconn()
    assert pool.stats().longest_wait == 0
    borrower = borrow(pool)
    eventually(lambda: pool.stats().waiting == 1, "one that waits")
    first = pool.stats().longest_wait
    eventually(lambda: pool.stats().longest_wait > first, "a longer wait")
    pool.putconn(held)
    borrower.tell()
    borrower.task.wait()
    assert pool.stats().longest_wait == 0


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> list[Wait]:
    """What is reported of waits from now on."""
    reported: list[Wait] = []

    def fail(_wait: Wait) -> None:
        raise RuntimeError("an observer that fails harms nobody")

    monkeypatch.setattr(waits, "observers", [fail, reported.append])
    return reported


def test_waits_are_reported_once_and_nothing_else(make_pool: MakePool, borrow: Borrow, reported: list[Wait]) -> None:
    pool = make_pool(MAX_CONNS=1)
    held = pool.getconn()
    borrower = borrow(pool)
    eventually(lambda: pool.stats().waiting == 1, "one that waits")
    assert reported == []
    pool.putconn(held)
    eventually(lambda: reported, "a report")
    borrower.tell()
    borrower.task.wait()
    (wait,) = reported
    assert (wait.pool, wait.error) == ("test", None)
    assert wait.seconds == pytest.approx(pool.stats().wait_time.total, abs=0.5)


def test_a_wait_in_vain_is_reported_with_its_error(make_pool: MakePool, reported: list[Wait]) -> None:
    pool = make_pool(MAX_CONNS=1)
    held = pool.getconn()
    with pytest.raises(Exception, match="no connection came free") as raised:
        pool.getconn(timeout=0.05)
    (wait,) = reported
    assert wait.error is raised.value
    pool.putconn(held)
