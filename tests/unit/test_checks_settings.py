"""System checks of the settings of the databases that use the pool."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import Error, Info
from django.core.checks import Warning as CheckWarning

from django_geventpool.checks.settings import check_databases
from django_geventpool.engines import pooled_databases

from .conftest import Install, pooled

ENGINES = ("postgresql_psycopg2", "postgis", "postgresql")


@pytest.mark.parametrize("engine", ENGINES)
def test_good_settings_pass(databases: dict[str, Any], engine: str) -> None:
    databases["default"] = pooled(engine, OPTIONS={"MAX_CONNS": 20, "sslmode": "require"}, CONN_MAX_AGE=0)
    databases["plain"] = pooled(engine)
    assert check_databases() == []


@pytest.mark.parametrize("engine", ENGINES)
def test_a_bad_option_is_an_error(databases: dict[str, Any], engine: str) -> None:
    databases["orders"] = pooled(engine, OPTIONS={"MAX_CONN": 20})
    (message,) = check_databases()
    assert isinstance(message, Error)
    assert message.id == "geventpool.E001"
    assert message.msg == 'DATABASES["orders"]["OPTIONS"]: Unknown pool option MAX_CONN: did you mean MAX_CONNS?'
    assert message.hint


@pytest.mark.parametrize("age", [60, None])
def test_persistent_connections_of_djangos_are_a_warning(databases: dict[str, Any], age: int | None) -> None:
    databases["default"] = pooled(CONN_MAX_AGE=age)
    (message,) = check_databases()
    assert isinstance(message, CheckWarning)
    assert message.id == "geventpool.W001"
    assert 'DATABASES["default"]["CONN_MAX_AGE"]' in message.msg
    assert message.hint is not None
    assert "Remove CONN_MAX_AGE" in message.hint


def test_the_engine_named_after_psycopg2_says_that_it_is_psycopg_3(databases: dict[str, Any], install: Install) -> None:
    databases["default"] = pooled()
    install("psycopg")
    (message,) = check_databases()
    assert isinstance(message, Info)
    assert message.id == "geventpool.I001"
    assert "it is psycopg 3 that is installed and used" in message.msg
    assert '"django_geventpool.backends.postgresql"' in str(message.hint)


def test_both_drivers_with_the_engine_named_after_psycopg2_are_a_warning(
    databases: dict[str, Any], install: Install
) -> None:
    databases["default"] = pooled()
    install("psycopg2", "psycopg")
    (message,) = check_databases()
    assert isinstance(message, CheckWarning)
    assert message.id == "geventpool.W002"
    assert 'DATABASES["default"]["ENGINE"]' in message.msg
    assert "psycopg 3, which Django prefers and which is used" in message.msg
    assert "Uninstall psycopg" in str(message.hint)


@pytest.mark.parametrize("engine", ["postgresql", "postgis"])
def test_the_other_engines_promise_no_driver(databases: dict[str, Any], install: Install, engine: str) -> None:
    databases["default"] = pooled(engine)
    install("psycopg2", "psycopg")
    assert check_databases() == []


def test_each_database_is_checked(databases: dict[str, Any]) -> None:
    databases["default"] = pooled(OPTIONS={"MAX_CONNS": 0}, CONN_MAX_AGE=60)
    databases["replica"] = pooled(OPTIONS={"POOL_MODE": "statement"})
    databases["good"] = pooled()
    messages = check_databases(databases=None, app_configs=None)
    assert [message.id for message in messages] == ["geventpool.E001", "geventpool.W001", "geventpool.E001"]


def test_a_password_is_not_shown(databases: dict[str, Any]) -> None:
    databases["default"] = pooled(PASSWORD="hunter2", OPTIONS={"MAX_CONNS": "many"}, CONN_MAX_AGE=60)
    assert "hunter2" not in str(check_databases())


def test_other_engines_are_none_of_our_business(databases: dict[str, Any]) -> None:
    databases["default"] = {
        "ENGINE": "django.db.backends.postgresql",
        "OPTIONS": {"pool": True, "MAX_CONN": 1},
        "CONN_MAX_AGE": 60,
    }
    databases["other"] = {"ENGINE": "dj_db_conn_pool.backends.postgresql"}
    databases["none"] = {}
    assert check_databases() == []
    assert pooled_databases() == {}


def test_strays_are_warned_of(databases: dict[str, Any]) -> None:
    databases["default"] = pooled(MAX_CONNS=5, OPTIONS={"max_size": 5})
    beside, within = check_databases()
    for message in (beside, within):
        assert isinstance(message, CheckWarning)
        assert message.id == "geventpool.W012"
    assert beside.msg == 'DATABASES["default"]["MAX_CONNS"] stands beside OPTIONS, where nothing reads it.'
    assert str(beside.hint).startswith('Set "MAX_CONNS" in OPTIONS. See ')
    assert within.msg.startswith('DATABASES["default"]["OPTIONS"]["max_size"] goes to the driver')
    assert str(within.hint).startswith('Set "MAX_CONNS" in OPTIONS. See ')
