"""The pool's numbers as text."""

from __future__ import annotations

import dataclasses

import pytest

from django_geventpool.options import PoolOptions
from django_geventpool.pool import Pool, PoolStats
from django_geventpool.pool.counters import Counters, Histogram
from django_geventpool.pool.stats import METRICS
from tests.support import inside
from tests.support.scripted import ScriptedDriver

QUIET = PoolStats.of(
    Counters(METRICS),
    lent=0,
    limit=20,
    size=3,
    in_use=0,
    idle=3,
    waiting=0,
    longest_wait=0.0,
    connecting=0,
    closing=0,
    longest_holder=None,
    longest_held=0.0,
    fleet_limit=0,
    fleet_share=0,
    use_time=Histogram().snapshot(),
    wait_time=Histogram().snapshot(),
)


def test_a_quiet_pool_in_words() -> None:
    assert str(QUIET) == "limit 20, in use 0, idle 3, waiting 0"


def test_a_busy_pool_in_words() -> None:
    busy = dataclasses.replace(
        QUIET,
        in_use=17,
        idle=0,
        waiting=120,
        connecting=2,
        closing=1,
        longest_holder="task shop.tasks.pay[42]",
        longest_held=12.3456,
    )
    assert str(busy) == (
        "limit 20, in use 17, idle 0, waiting 120, connecting 2, closing 1, "
        "longest holder task shop.tasks.pay[42] for 12.3 s"
    )


def test_a_snapshot_stays_as_it_is() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        QUIET.idle = 4  # type: ignore[misc]


def test_a_pool_shows_its_name_and_numbers() -> None:
    pool = Pool("default", ScriptedDriver(), PoolOptions(MAX_CONNS=7))
    assert repr(pool) == "<Pool 'default': limit 7, in use 0, idle 0, waiting 0>"
    pool.close()
    assert repr(pool) == "<Pool 'default' closed: limit 7, in use 0, idle 0, waiting 0>"


def test_the_longest_holder_is_the_one_who_has_held_for_longest() -> None:
    pool = Pool("default", ScriptedDriver(), PoolOptions())
    first, second = pool.getconn(), pool.getconn()
    oldest = inside.slot_of(pool, first)
    newest = inside.slot_of(pool, second)
    assert oldest.request is not None
    assert newest.request is not None
    oldest.request.label, newest.request.label = "the first", "the second"
    stats = pool.stats()
    assert (stats.in_use, stats.connects) == (2, 2)
    assert stats.longest_holder == "the first"
    pool.putconn(first)
    assert pool.stats().longest_holder == "the second"
    pool.putconn(second)
    assert pool.stats().longest_holder is None
    pool.close()
