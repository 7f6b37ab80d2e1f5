"""Options in the wrong place, in lower case or with another pool's name: the warning says the right one."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from django_geventpool.errors import InvalidOption
from django_geventpool.options import NAMES, foreign, split

#: Other pools' names, as their documentation spells them, and ours.
OF_OTHERS = {
    # psycopg_pool, and so Django's own pool and django-pg-real-pool
    "min_size": "MIN_CONNS",
    "max_size": "MAX_CONNS",
    "timeout": "CONN_WAIT_TIMEOUT",
    "max_lifetime": "CONN_MAX_LIFETIME",
    "max_idle": "CONN_IDLE_TIMEOUT",
    # psycopg2.pool
    "minconn": "MIN_CONNS",
    "maxconn": "MAX_CONNS",
    # django-db-connection-pool
    "POOL_SIZE": "MAX_CONNS",
    "MAX_OVERFLOW": "MAX_CONNS",
    "RECYCLE": "CONN_MAX_LIFETIME",
    "TIMEOUT": "CONN_WAIT_TIMEOUT",
    # SQLAlchemy
    "pool_size": "MAX_CONNS",
    "max_overflow": "MAX_CONNS",
    "pool_timeout": "CONN_WAIT_TIMEOUT",
    "pool_recycle": "CONN_MAX_LIFETIME",
    "pool_reset_on_return": "ON_RELEASE_DISCARD_ALL",
    # PgBouncer
    "default_pool_size": "MAX_CONNS",
    "min_pool_size": "MIN_CONNS",
    "pool_mode": "POOL_MODE",
    "query_wait_timeout": "CONN_WAIT_TIMEOUT",
    "server_idle_timeout": "CONN_IDLE_TIMEOUT",
    "server_lifetime": "CONN_MAX_LIFETIME",
    "server_reset_query": "ON_RELEASE_DISCARD_ALL",
    # HikariCP
    "maximumPoolSize": "MAX_CONNS",
    "minimumIdle": "MIN_CONNS",
    "connectionTimeout": "CONN_WAIT_TIMEOUT",
    "idleTimeout": "CONN_IDLE_TIMEOUT",
    "maxLifetime": "CONN_MAX_LIFETIME",
    "leakDetectionThreshold": "LEAK_WARNING_AFTER",
    # Guesses
    "CONN_TIMEOUT": "CONN_WAIT_TIMEOUT",
    "MAX_LIFETIME": "CONN_MAX_LIFETIME",
    "MAX_CONNECTIONS": "MAX_CONNS",
    "REUSE_CONN": "REUSE_CONNS",
    **{name: name for name in NAMES},
    **{name.lower(): name for name in NAMES},
}


def strays(database: dict[str, Any]) -> list[foreign.Stray]:
    return list(foreign.find({"ENGINE": "any", "NAME": "shop", "CONN_MAX_AGE": 0, **database}))


@pytest.mark.parametrize(("name", "ours"), OF_OTHERS.items())
def test_beside_options(name: str, ours: str) -> None:
    (stray,) = strays({name: 5, "OPTIONS": {"MAX_CONNS": 3}})
    assert stray.place == f'["{name}"]'
    assert "beside OPTIONS" in stray.fate
    assert f'set "{ours}"' in stray.advice
    assert "in OPTIONS" in stray.advice


@pytest.mark.parametrize(("name", "ours"), OF_OTHERS.items())
def test_in_options(name: str, ours: str) -> None:
    if name in NAMES:
        assert strays({"OPTIONS": {name: 5}}) == []
    elif name.isupper():
        with pytest.raises(InvalidOption) as caught:
            split({name: 5})
        assert str(caught.value) == f"Unknown pool option {name}: did you mean {ours}?"
    else:
        (stray,) = strays({"OPTIONS": {name: 5}})
        assert stray.place == f'["OPTIONS"]["{name}"]'
        assert "goes to the driver" in stray.fate
        assert f'set "{ours}"' in stray.advice


@pytest.mark.parametrize("name", ["POOL_OPTIONS", "POOL", "pool_args"])
def test_a_group_is_taken_apart(name: str) -> None:
    (stray,) = strays({name: {"POOL_SIZE": 3, "MAX_OVERFLOW": 7, "RECYCLE": 86400, "PRE_PING": True}})
    assert '"MAX_CONNS" for POOL_SIZE and MAX_OVERFLOW' in stray.advice
    assert '"CONN_MAX_LIFETIME" (in seconds) for RECYCLE' in stray.advice


def test_a_group_in_options_is_refused_with_the_right_names() -> None:
    with pytest.raises(InvalidOption, match=r'Unknown pool option POOL_OPTIONS: .*"MAX_CONNS" for POOL_SIZE'):
        split({"POOL_OPTIONS": {"POOL_SIZE": 3}})


def test_djangos_own_pool_is_refused_with_the_right_names() -> None:
    with pytest.raises(
        InvalidOption, match=r'remove "pool", .*: "MIN_CONNS" for min_size, "MAX_CONNS" for max_size\.$'
    ):
        split({"pool": {"min_size": 2, "max_size": 10}})


def test_what_needs_no_option_says_why() -> None:
    (stray,) = strays({"OPTIONS": {"pool_pre_ping": True}})
    assert stray.advice.startswith("remove it: a connection is looked at")


@pytest.mark.parametrize("name", ["ATOMIC_REQUESTS", "CONN_HEALTH_CHECKS", "DISABLE_SERVER_SIDE_CURSORS"])
def test_what_django_reads_beside_options_is_sent_there(name: str) -> None:
    with pytest.raises(InvalidOption, match=f"Unknown pool option {name}: Django reads it beside OPTIONS"):
        split({name: True})


def test_a_slip_of_the_pen_beside_options() -> None:
    (stray,) = strays({"CONN_WAIT_TIMOUT": 5})
    assert '"CONN_WAIT_TIMEOUT"' in stray.advice


#: Options that Django and the drivers take in addition to libpq's.
LEGITIMATE = {
    "assume_role",
    "autocommit",
    "async",
    "async_",
    "client_encoding",
    "connection_factory",
    "context",
    "cursor_factory",
    "dsn",
    "isolation_level",
    "pool",
    "prepare_threshold",
    "row_factory",
    "server_side_binding",
}


def libpq() -> set[str]:
    if importlib.util.find_spec("psycopg") is None:
        return {"connect_timeout", "keepalives_idle", "keepalives_count", "tcp_user_timeout", "sslmode", "options"}
    from psycopg.pq import Conninfo

    return {option.keyword.decode() for option in Conninfo.get_defaults()}


def test_options_of_the_driver_are_no_strays() -> None:
    assert strays({"OPTIONS": dict.fromkeys(libpq() | LEGITIMATE, "1")}) == []


def test_what_django_and_others_read_beside_options_are_no_strays() -> None:
    django = {"TIME_ZONE": None, "ATOMIC_REQUESTS": True, "AUTOCOMMIT": True, "CONN_HEALTH_CHECKS": True, "TEST": {}}
    others = {"DISABLE_SERVER_SIDE_CURSORS": True, "SCHEMA": "shop", "REPLICA_OF": "default", "POSTGIS_VERSION": (3, 4)}
    assert strays({**django, **others}) == []


@pytest.mark.parametrize("given", [None, [], "MAX_CONNS=5"])
def test_options_that_are_no_dictionary(given: object) -> None:
    assert strays({"OPTIONS": given}) == []
    with pytest.raises(InvalidOption, match="OPTIONS must be a dictionary, not"):
        split(given)
