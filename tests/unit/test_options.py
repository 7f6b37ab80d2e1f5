"""DATABASES[alias]["OPTIONS"]: accepted values, and the messages for refused ones."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_geventpool.errors import InvalidOption
from django_geventpool.options import NAMES, PoolOptions, split
from django_geventpool.options.declared import DECLARED
from django_geventpool.options.kinds import Count, Seconds


def refusal(**options: Any) -> str:
    """Return the message with which options are refused."""
    with pytest.raises(InvalidOption) as caught:
        split(options)
    assert isinstance(caught.value, ImproperlyConfigured)
    return str(caught.value)


def of_kind(kind: type[Count | Seconds]) -> list[str]:
    """Return the names of the options of a kind."""
    return [name for name, option in DECLARED.items() if isinstance(option.kind, kind)]


def test_counts_and_times_are_seen_as_such() -> None:
    assert {"MAX_CONNS", "MIN_CONNS", "REUSE_CONNS"} <= set(of_kind(Count))
    assert {"CONN_WAIT_TIMEOUT", "CONN_IDLE_TIMEOUT", "CONN_MAX_LIFETIME"} <= set(of_kind(Seconds))
    assert {"LEAK_WARNING_AFTER", "CLIENT_CHECK_INTERVAL"} <= set(of_kind(Seconds))


def test_the_pools_options_are_parted_from_the_drivers() -> None:
    given = {
        "MAX_CONNS": 7,
        "isolation_level": 3,
        "connect_timeout": 5,
        "sslmode": "require",
        "CONN_WAIT_TIMEOUT": None,
    }
    pool, driver = split(given)
    assert pool == PoolOptions(MAX_CONNS=7, CONN_WAIT_TIMEOUT=None)
    assert driver == {"isolation_level": 3, "connect_timeout": 5, "sslmode": "require"}
    assert given["MAX_CONNS"] == 7


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("MAX_CONN", "MAX_CONNS"),
        ("MAXCONNS", "MAX_CONNS"),
        ("MIN_CON", "MIN_CONNS"),
        ("CONN_WAIT_TIMOUT", "CONN_WAIT_TIMEOUT"),
        ("IDLE_TIMEOUT", "CONN_IDLE_TIMEOUT"),
        ("MAX_LIFETIME", "CONN_MAX_LIFETIME"),
        ("DISCARD_ALL", "ON_RELEASE_DISCARD_ALL"),
        ("POOLMODE", "POOL_MODE"),
        ("LEAK_WARNING", "LEAK_WARNING_AFTER"),
        ("REUSE_CONN", "REUSE_CONNS"),
    ],
)
def test_an_unknown_name_is_refused_with_the_one_that_was_meant(name: str, meant: str) -> None:
    assert refusal(**{name: 1}) == f"Unknown pool option {name}: did you mean {meant}?"


def test_an_unknown_name_like_no_other_is_refused_with_all_names() -> None:
    message = refusal(XYZZY=1)
    assert message.startswith("Unknown pool option XYZZY: the pool's options are ")
    assert all(name in message for name in NAMES)


@pytest.mark.parametrize("name", of_kind(Count))
@pytest.mark.parametrize("value", ["four", "4_0", " 4", 4.0, True, False, -1, [4], object()])
def test_a_count_is_a_whole_number(name: str, value: object) -> None:
    message = refusal(**{name: value})
    assert message.startswith(f"{name} must be a whole number of at least ")
    assert message.endswith(f"not {value!r}.")


def test_text_counts_as_what_it_says() -> None:
    """Libraries that read settings from URLs give text."""
    pool, driver = split(
        {"MAX_CONNS": "20", "CONN_WAIT_TIMEOUT": "2.5", "CONN_IDLE_TIMEOUT": "None", "ON_RELEASE_DISCARD_ALL": "False"}
        | {"POOL_MODE": "transaction", "connect_timeout": "5"}
    )
    assert pool == PoolOptions(
        MAX_CONNS=20,
        CONN_WAIT_TIMEOUT=2.5,
        CONN_IDLE_TIMEOUT=None,
        ON_RELEASE_DISCARD_ALL=False,
        POOL_MODE="transaction",
    )
    assert driver == {"connect_timeout": "5"}


def test_text_that_says_something_else_is_refused() -> None:
    assert refusal(MAX_CONNS="2.5") == "MAX_CONNS must be a whole number of at least 1, not 2.5."
    assert refusal(MAX_CONNS="True") == "MAX_CONNS must be a whole number of at least 1, not True."
    assert refusal(POOL_MODE="1").startswith("POOL_MODE must be ")


def test_a_limit_of_zero_is_refused() -> None:
    assert refusal(MAX_CONNS=0) == "MAX_CONNS must be a whole number of at least 1, not 0."


@pytest.mark.parametrize("name", ["MAX_CONNS", "MIN_CONNS"])
def test_a_count_is_never_none(name: str) -> None:
    assert refusal(**{name: None}).endswith("not None.")


@pytest.mark.parametrize("name", of_kind(Seconds))
@pytest.mark.parametrize("value", ["15 s", "-1", "1e3", "nan", True, -1, -0.5, float("nan"), (15,)])
def test_a_time_is_a_number_of_seconds(name: str, value: object) -> None:
    message = refusal(**{name: value})
    assert message.startswith(f"{name} must be a number of seconds")
    assert message.endswith(f"or None, not {value!r}.")


@pytest.mark.parametrize("name", of_kind(Seconds))
@pytest.mark.parametrize("value", [None, 0.001, 1, 86400])
def test_times_are_taken(name: str, value: float | None) -> None:
    pool, _ = split({name: value})
    assert getattr(pool, name) == value


@pytest.mark.parametrize("name", ["CONN_WAIT_TIMEOUT", "CONN_IDLE_TIMEOUT"])
def test_a_time_of_zero_is_taken_where_it_means_something(name: str) -> None:
    pool, _ = split({name: 0})
    assert getattr(pool, name) == 0


@pytest.mark.parametrize("name", ["CONN_MAX_LIFETIME", "LEAK_WARNING_AFTER", "CLIENT_CHECK_INTERVAL"])
def test_a_time_of_zero_is_refused_where_it_means_nothing(name: str) -> None:
    assert refusal(**{name: 0}) == f"{name} must be a number of seconds above 0, or None, not 0."


@pytest.mark.parametrize("value", ["yes", 1, 0, None])
def test_what_a_release_discards_is_one_of_three(value: object) -> None:
    assert refusal(ON_RELEASE_DISCARD_ALL=value) == (
        f'ON_RELEASE_DISCARD_ALL must be "dirty", True or False, not {value!r}.'
    )


@pytest.mark.parametrize("value", ["dirty", True, False])
def test_all_three_are_taken(value: object) -> None:
    pool, _ = split({"ON_RELEASE_DISCARD_ALL": value})
    assert pool.ON_RELEASE_DISCARD_ALL is value


@pytest.mark.parametrize("value", ["PIN", None, True, ["pin"]])
def test_an_unknown_policy_for_session_state_is_refused(value: object) -> None:
    assert refusal(SESSION_STATE=value) == (f'SESSION_STATE must be "pin", "warn", "raise" or "ignore", not {value!r}.')


@pytest.mark.parametrize("value", ["statement", "SESSION", None, 1, ["session"]])
def test_an_unknown_mode_is_refused(value: object) -> None:
    assert refusal(POOL_MODE=value) == f'POOL_MODE must be "session" or "transaction", not {value!r}.'


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_both_modes_are_taken(mode: str) -> None:
    pool, _ = split({"POOL_MODE": mode})
    assert mode == pool.POOL_MODE


def test_more_kept_than_allowed_is_refused() -> None:
    assert refusal(MIN_CONNS=5) == (
        "MIN_CONNS (5) must not be above MAX_CONNS (4): lower MIN_CONNS or raise MAX_CONNS."
    )
    split({"MIN_CONNS": 4})


def test_fewer_reused_than_kept_is_refused() -> None:
    assert refusal(MIN_CONNS=3, REUSE_CONNS=2).startswith("REUSE_CONNS (2) must not be below MIN_CONNS (3): ")
    split({"MIN_CONNS": 2, "REUSE_CONNS": 2})


def test_all_connections_are_reused_unless_told_otherwise() -> None:
    assert PoolOptions(MAX_CONNS=9).reuse_conns == 9
    assert PoolOptions(MAX_CONNS=9, REUSE_CONNS=0).reuse_conns == 0
    assert dataclasses.replace(PoolOptions(MAX_CONNS=9), MAX_CONNS=12).reuse_conns == 12


@pytest.mark.parametrize("pool", [True, {"min_size": 1}])
def test_djangos_own_pool_beside_ours_is_refused(pool: object) -> None:
    message = refusal(pool=pool)
    assert 'remove "pool"' in message
    assert "MAX_CONNS" in message


@pytest.mark.parametrize("pool", [False, None, {}])
def test_djangos_own_pool_may_be_switched_off(pool: object) -> None:
    split({"pool": pool})


def test_options_can_not_be_changed_by_accident() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        PoolOptions().MAX_CONNS = 5  # type: ignore[misc]
