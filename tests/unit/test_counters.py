"""Histograms of times, and their quantiles."""

from __future__ import annotations

import pytest

from django_geventpool.pool.counters import BOUNDS, Counters, Histogram
from django_geventpool.pool.stats import METRICS, PoolStats


def recorded(*seconds: float) -> Histogram:
    histogram = Histogram()
    for time in seconds:
        histogram.record(time)
    return histogram


def test_times_fall_into_buckets_up_to_their_bounds() -> None:
    times = recorded(0.0, 0.001, 0.0011, 10.0, 11.0).snapshot()
    assert times.counts[:2] == (2, 1)
    assert times.counts[-2:] == (1, 1)
    assert times.count == 5
    assert times.total == pytest.approx(21.0021)


def test_what_was_shown_does_not_change() -> None:
    histogram = recorded(0.1)
    times = histogram.snapshot()
    histogram.record(0.1)
    assert times.count == 1


@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_nothing_recorded_takes_no_time(share: float) -> None:
    assert Histogram().snapshot().quantile(share) == 0


def test_quantiles_are_estimated_within_a_bucket() -> None:
    # All are in the bucket from 0.025 to 0.05.
    times = recorded(*[0.03] * 100).snapshot()
    assert times.quantile(0) == pytest.approx(0.025)
    assert times.quantile(0.5) == pytest.approx(0.0375)
    assert times.quantile(1) == pytest.approx(0.05)


def test_quantiles_over_several_buckets() -> None:
    times = recorded(*[0.002] * 90, *[0.2] * 10).snapshot()
    assert times.quantile(0.5) < 0.0025
    assert 0.1 < times.quantile(0.95) <= 0.25


def test_what_is_above_the_last_bound_is_said_to_be_it() -> None:
    assert recorded(60.0).snapshot().quantile(0.99) == BOUNDS[-1]


def test_counters_are_those_that_are_declared() -> None:
    counters = Counters(METRICS)
    counters.count("closed", "idle", 2)
    counters.count("timeouts")
    numbers = counters.read()
    assert (numbers["closed"], numbers["timeouts"], numbers["reclaimed"]) == ({"idle": 2}, 1, 0)
    with pytest.raises(KeyError):
        counters.count("time_outs")


def test_a_gauge_that_nobody_measures_is_missed() -> None:
    with pytest.raises(TypeError, match="limit"):
        PoolStats.of(Counters(METRICS), lent=0, use_time=Histogram().snapshot(), wait_time=Histogram().snapshot())
