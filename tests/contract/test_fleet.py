"""Pools that see each other in the session list of a scripted server."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator

import pytest

from django_geventpool.errors import PoolTimeout
from django_geventpool.pool import Pool
from django_geventpool.pool.fleet import policy
from django_geventpool.pool.fleet.badge import Badge, application_name, read
from django_geventpool.pool.fleet.census import Census, Sessions, take
from tests.support import inside
from tests.support.interruptions import interruptions
from tests.support.pool_states import assert_whole, await_stats, queue_up
from tests.support.scripted import ScriptedDriver, ScriptedError
from tests.support.waiting import eventually

from .conftest import Borrow, MakePool
from .interrupted_look import assert_costs_one_connection


class Server:
    """A server with a limit, the sessions of the pool under test, and those of another pool."""

    def __init__(self, driver: ScriptedDriver) -> None:
        self.driver = driver
        self.limit = 10
        #: The other pool's sessions, and how many it wants; 0 for no other pool.
        self.others = self.wanted = 0
        #: For how long they have been open (seconds).
        self.age = 60.0
        self.looks = 0

    def census(self) -> Census:
        self.looks += 1
        listed = [
            Sessions(1, True, True, 60.0, application_name("ours", each.badge))
            for each in list(self.driver.live)
            if not each.server
        ]
        if self.others:
            badge = Badge("others", 10, self.wanted, self.looks)
            listed.append(Sessions(self.others, True, True, self.age, str(badge)))
        return take([("role", self.limit)], listed, is_readable=True)


@pytest.fixture
def server(driver: ScriptedDriver, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(policy, "LOOK_INTERVAL", 0.01)
    server = Server(driver)
    driver.take_census = server.census
    yield server
    driver.always("look", None)


def demand_told(driver: ScriptedDriver) -> int:
    """Return what the pool's newest badge says."""
    badges = [badge for badge in (read(each.badge) for each in tuple(driver.live)) if badge is not None]
    return max(badges, key=lambda badge: badge.sequence).demand


def test_the_first_connection_says_what_is_wanted(
    driver: ScriptedDriver, server: Server, make_pool: MakePool, borrow: Borrow
) -> None:
    pool = make_pool(MAX_CONNS=4)
    borrow(pool).taken()
    (connection,) = driver.live
    badge = read(connection.badge)
    assert badge is not None
    assert (badge.limit, badge.demand, badge.token) == (4, 1, inside.state(pool).server.fleet.token)


def test_it_grows_to_its_share_and_no_further(
    driver: ScriptedDriver, server: Server, make_pool: MakePool, borrow: Borrow
) -> None:
    server.limit, server.others, server.wanted = 9, 4, 10
    pool = make_pool(MAX_CONNS=10, CONN_WAIT_TIMEOUT=None)
    # Over the second connection the list is read.
    borrowers = [*(borrow(pool).taken() for _ in range(2)), *(borrow(pool) for _ in range(8))]
    eventually(lambda: pool.stats().waiting == 6, "its share, which is half of the eight beside what is kept free")
    eventually(lambda: demand_told(driver) == 10, "the demand told to others")
    server.others = 0
    next(each for each in borrowers if each.has_connection).give_back()
    # The others are gone; one more is kept free for them. As nothing comes back, it may try to have that, too, later.
    eventually(lambda: pool.stats().in_use >= 8, "its share, which is all that they leave")
    assert pool.stats().fleet_limit == 8


def test_connections_to_another_server_do_not_count_against_the_limit_of_this_one(
    driver: ScriptedDriver, server: Server, make_pool: MakePool, borrow: Borrow
) -> None:
    server.limit = 4
    pool = make_pool(MAX_CONNS=8, CONN_WAIT_TIMEOUT=None)
    borrowers = [borrow(pool) for _ in range(8)]
    await_stats(pool, in_use=4, waiting=4)
    here, *there = [each for each in borrowers if each.has_connection][:3]
    for each in there:
        each.connection.server = 1
    inside.have_look_due(pool)
    here.give_back()
    await_stats(pool, in_use=6, waiting=1)


def test_a_timeout_says_what_the_share_is(server: Server, make_pool: MakePool, borrow: Borrow) -> None:
    server.limit, server.others, server.wanted = 9, 4, 10
    pool = make_pool(MAX_CONNS=10, CONN_WAIT_TIMEOUT=None)
    for _ in range(2):
        borrow(pool).taken()
    for _ in range(8):
        borrow(pool)
    eventually(lambda: pool.stats().waiting == 6, "its share")
    with pytest.raises(PoolTimeout, match="this one's fair share is 4 of the 8 that the server's limits leave"):
        pool.getconn(timeout=0)
    assert (pool.stats().fleet_limit, pool.stats().fleet_share) == (8, 4)


def test_what_is_above_the_share_goes_as_connections_come_back(
    driver: ScriptedDriver, server: Server, make_pool: MakePool, borrow: Borrow
) -> None:
    server.limit = 9
    pool = make_pool(MAX_CONNS=8, CONN_WAIT_TIMEOUT=None)
    holders = [borrow(pool).taken() for _ in range(8)]
    waiters = queue_up(pool, lambda: borrow(pool), 4)
    server.others, server.wanted = 1, 10
    inside.have_look_due(pool)
    for holder in holders[:6]:
        holder.give_back()
    # Eight for both: the last two that came back were lent on.
    await_stats(pool, size=4, in_use=4, waiting=2)
    assert pool.stats().closed == {"yielded": 4}
    holders[6].give_back()
    holders[7].give_back()
    for waiter in waiters:
        waiter.taken().give_back()
    await_stats(pool, waiting=0, in_use=0)


def test_who_has_all_that_there_are_leaves_one_to_whoever_may_stand_outside(
    driver: ScriptedDriver, server: Server, make_pool: MakePool, borrow: Borrow
) -> None:
    server.limit = 4
    pool = make_pool(MAX_CONNS=4)
    holders = [borrow(pool).taken() for _ in range(4)]
    holders[0].give_back()
    holders[0] = borrow(pool).taken()
    inside.have_look_due(pool)
    inside.probe_full_server_at(pool, math.inf)
    holders[0].give_back()
    assert server.looks
    holders[0] = borrow(pool).taken()
    inside.have_look_due(pool)
    inside.probe_full_server_at(pool, 0.0)
    holders[0].give_back()
    await_stats(pool, size=3, in_use=3)
    assert pool.stats().closed == {"yielded": 1}
    for holder in holders[1:]:
        holder.give_back()


def test_who_has_all_that_there_are_leaves_an_idle_one_too(server: Server, make_pool: MakePool, borrow: Borrow) -> None:
    server.limit = 4
    pool = make_pool(MAX_CONNS=4)
    for holder in [borrow(pool).taken() for _ in range(4)]:
        holder.give_back()
    inside.have_look_due(pool)
    pool.wake()
    eventually(lambda: pool.stats().fleet_limit == 4, "the first list")
    await_stats(pool, idle=4)
    inside.have_look_due(pool)
    inside.probe_full_server_at(pool, 0.0)
    pool.wake()
    await_stats(pool, size=3, idle=3)
    assert pool.stats().closed == {"yielded": 1}


def test_idle_connections_go_while_others_want_them_even_if_nothing_happens_here(
    server: Server, make_pool: MakePool, borrow: Borrow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "CALM_INTERVAL", 0.02)
    pool = make_pool(MAX_CONNS=8)
    for holder in [borrow(pool).taken() for _ in range(8)]:
        holder.give_back()
    await_stats(pool, idle=8)
    server.others, server.wanted = 1, 10
    pool.wake()
    await_stats(pool, size=0)
    assert pool.stats().closed == {"idle": 8}


def test_the_ones_for_min_conns_stay(server: Server, make_pool: MakePool, borrow: Borrow) -> None:
    pool = make_pool(MAX_CONNS=8, MIN_CONNS=2)
    for holder in [borrow(pool).taken() for _ in range(8)]:
        holder.give_back()
    server.others, server.wanted = 1, 10
    inside.have_look_due(pool)
    pool.wake()
    await_stats(pool, size=2, idle=2)


def test_a_look_over_an_idle_connection_does_not_make_it_younger(
    driver: ScriptedDriver, server: Server, make_pool: MakePool, borrow: Borrow
) -> None:
    pool = make_pool(MAX_CONNS=8)
    for holder in [borrow(pool).taken() for _ in range(2)]:
        holder.give_back()
    since = sorted(slot.since for slot in inside.slots(pool))
    before = server.looks
    inside.have_look_due(pool)
    pool.wake()
    eventually(lambda: server.looks > before, "a look")
    await_stats(pool, idle=2)
    assert sorted(slot.since for slot in inside.slots(pool)) == since


def test_who_needs_no_second_connection_never_looks(
    driver: ScriptedDriver, server: Server, make_pool: MakePool, borrow: Borrow
) -> None:
    pool = make_pool(MAX_CONNS=8)
    for _ in range(5):
        borrow(pool).taken().give_back()
    assert driver.count("look") == 0


def test_more_pools_than_connections_take_turns(
    driver: ScriptedDriver, server: Server, make_pool: MakePool, borrow: Borrow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "LEAST_TURN", 0.0)
    server.limit, server.others, server.wanted, server.age = 2, 1, 1, 5.0
    pool = make_pool(MAX_CONNS=1, CONN_WAIT_TIMEOUT=None)
    holder = borrow(pool).taken()
    (waiter,) = queue_up(pool, lambda: borrow(pool), 1)
    inside.have_look_due(pool)
    holder.give_back()
    # Its only connection is closed; it comes in again later.
    await_stats(pool, waiting=1, size=0)
    assert pool.stats().closed == {"yielded": 1}
    inside.end_backoff(pool)
    waiter.taken().give_back()


def test_a_waiter_gets_in_although_no_connection_comes_back(
    driver: ScriptedDriver, server: Server, make_pool: MakePool, borrow: Borrow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "STALE_AFTER", 0.1)
    server.others, server.wanted = 8, 10
    pool = make_pool(MAX_CONNS=8, CONN_WAIT_TIMEOUT=None)
    borrow(pool).taken()
    waiter = borrow(pool)
    # It has read the list at the end of its first connect, or has yet to; the others leave some room.
    server.others = 5
    waiter.taken()


@pytest.mark.parametrize("error", [*interruptions(), ScriptedError("gone")], ids=lambda error: type(error).__name__)
def test_out_of_a_look_over_what_comes_back(
    driver: ScriptedDriver, server: Server, make_pool: MakePool, borrow: Borrow, error: BaseException
) -> None:
    assert_costs_one_connection(error, driver, make_pool(MAX_CONNS=2), borrow, inside.have_look_due)


@pytest.mark.parametrize("error", interruptions(), ids=lambda error: type(error).__name__)
def test_out_of_a_look_over_what_was_just_opened(
    driver: ScriptedDriver, server: Server, make_pool: MakePool, borrow: Borrow, error: BaseException
) -> None:
    pool = make_pool(MAX_CONNS=1, CONN_WAIT_TIMEOUT=None)
    opened = threading.Event()
    driver.script("opened", opened.wait)
    driver.script("look", error)
    first = borrow(pool)
    await_stats(pool, connecting=1)
    (waiter,) = queue_up(pool, lambda: borrow(pool), 1)
    opened.set()
    first.task.wait()
    assert first.error is error
    waiter.taken().give_back()
    assert_whole(pool)


def test_the_drivers_error_in_a_look_over_what_was_just_opened_is_left_to_the_holder(
    driver: ScriptedDriver, server: Server, make_pool: MakePool, borrow: Borrow
) -> None:
    pool = make_pool(MAX_CONNS=1, CONN_WAIT_TIMEOUT=None)
    opened = threading.Event()
    driver.script("opened", opened.wait)
    driver.script("look", ScriptedError("gone"))
    first = borrow(pool)
    await_stats(pool, connecting=1)
    (waiter,) = queue_up(pool, lambda: borrow(pool), 1)
    opened.set()
    first.taken().give_back()
    waiter.taken().give_back()
    assert_whole(pool)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "error",
    [*(error for error in interruptions() if not isinstance(error, SystemExit)), ScriptedError("gone")],
    ids=lambda error: type(error).__name__,
)
def test_out_of_a_look_over_an_idle_connection(
    driver: ScriptedDriver, server: Server, make_pool: MakePool, borrow: Borrow, error: BaseException
) -> None:
    pool = make_pool(MAX_CONNS=3)
    for holder in [borrow(pool).taken() for _ in range(3)]:
        holder.give_back()
    driver.script("look", error)
    inside.have_look_due(pool)
    pool.wake()
    eventually(lambda: pool.stats().closed == {"broken": 1}, "the connection replaced")
    await_stats(pool, size=2, idle=2)
    assert_whole(pool)


def test_a_request_that_cannot_wait_may_connect_beside_others(
    driver: ScriptedDriver, server: Server, make_pool: MakePool, borrow: Borrow
) -> None:
    server.limit = 100
    pool = make_pool(MAX_CONNS=5)
    answer = threading.Event()
    driver.always("opened", answer.wait)
    slow = [borrow(pool, timeout=0) for _ in range(5)]
    await_stats(pool, connecting=5)
    answer.set()
    for borrower in slow:
        borrower.taken()


def test_a_raised_limit_holds_at_once_although_no_connection_comes_back(
    server: Server, make_pool: MakePool, borrow: Borrow
) -> None:
    pool = make_pool(MAX_CONNS=2, CONN_WAIT_TIMEOUT=None)
    borrowers = [borrow(pool) for _ in range(4)]
    await_stats(pool, in_use=2, waiting=2)
    pool.resize(4)
    for borrower in borrowers:
        borrower.taken()


def test_a_pool_that_replaces_another_goes_on_under_its_name(driver: ScriptedDriver, server: Server) -> None:
    from django_geventpool.options import PoolOptions

    before, after = (Pool("test", driver, PoolOptions(MAX_CONNS=2)) for _ in range(2))
    before.close()
    after.succeed(before)
    assert inside.state(after).server.fleet.token == inside.state(before).server.fleet.token
    after.close()


def test_a_connect_that_nobody_answers_does_not_hold_up_the_others_for_long(
    driver: ScriptedDriver, server: Server, make_pool: MakePool, borrow: Borrow
) -> None:
    is_answered = threading.Event()
    driver.script("connect", is_answered.wait)
    pool = make_pool(MAX_CONNS=4)
    stalled = borrow(pool)
    await_stats(pool, connecting=1)
    for other in [borrow(pool) for _ in range(3)]:
        other.taken().give_back()
    is_answered.set()
    stalled.taken().give_back()
    assert_whole(pool)
