"""Django's system checks of the databases that use the pool."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import UserSettingsHolder, global_settings
from django.core.checks import Error, Info
from django.core.checks import Warning as CheckWarning
from django.core.checks.registry import CheckRegistry

from django_geventpool import checks

ENGINES = ("postgresql_psycopg2", "postgis", "postgresql")


@pytest.fixture
def databases(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """DATABASES, to be filled by the test."""
    settings = UserSettingsHolder(global_settings)
    settings.DATABASES = {}
    monkeypatch.setattr(checks, "settings", settings)
    pick(monkeypatch, "psycopg2")
    return settings.DATABASES


def pick(monkeypatch: pytest.MonkeyPatch, *drivers: str) -> None:
    """As if these drivers were installed: Django prefers psycopg 3."""
    monkeypatch.setattr(checks, "_is_psycopg3", lambda: "psycopg" in drivers)
    monkeypatch.setattr(checks, "_has_psycopg2", lambda: "psycopg2" in drivers)


def pooled(engine: str = "postgresql_psycopg2", **settings: Any) -> dict[str, Any]:
    return {"ENGINE": f"django_geventpool.backends.{engine}", "NAME": "shop", **settings}


@pytest.mark.parametrize("engine", ENGINES)
def test_good_settings_pass(databases: dict[str, Any], engine: str) -> None:
    databases["default"] = pooled(engine, OPTIONS={"MAX_CONNS": 20, "sslmode": "require"}, CONN_MAX_AGE=0)
    databases["plain"] = pooled(engine)
    assert checks.check_databases() == []


@pytest.mark.parametrize("engine", ENGINES)
def test_a_bad_option_is_an_error(databases: dict[str, Any], engine: str) -> None:
    databases["orders"] = pooled(engine, OPTIONS={"MAX_CONN": 20})
    (message,) = checks.check_databases()
    assert isinstance(message, Error)
    assert message.id == "geventpool.E001"
    assert message.msg == 'DATABASES["orders"]["OPTIONS"]: Unknown pool option MAX_CONN: did you mean MAX_CONNS?'
    assert message.hint


@pytest.mark.parametrize("age", [60, None])
def test_persistent_connections_of_djangos_are_a_warning(databases: dict[str, Any], age: int | None) -> None:
    databases["default"] = pooled(CONN_MAX_AGE=age)
    (message,) = checks.check_databases()
    assert isinstance(message, CheckWarning)
    assert message.id == "geventpool.W001"
    assert 'DATABASES["default"]["CONN_MAX_AGE"]' in message.msg
    assert message.hint is not None
    assert "Remove CONN_MAX_AGE" in message.hint


def test_the_engine_named_after_psycopg2_says_that_it_is_psycopg_3(
    databases: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    databases["default"] = pooled()
    pick(monkeypatch, "psycopg")
    (message,) = checks.check_databases()
    assert isinstance(message, Info)
    assert message.id == "geventpool.I001"
    assert "it is psycopg 3 that is installed and used" in message.msg
    assert '"django_geventpool.backends.postgresql"' in str(message.hint)


def test_both_drivers_with_the_engine_named_after_psycopg2_are_a_warning(
    databases: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    databases["default"] = pooled()
    pick(monkeypatch, "psycopg2", "psycopg")
    (message,) = checks.check_databases()
    assert isinstance(message, CheckWarning)
    assert message.id == "geventpool.W002"
    assert 'DATABASES["default"]["ENGINE"]' in message.msg
    assert "psycopg 3, which Django prefers and which is used" in message.msg
    assert "Uninstall psycopg" in str(message.hint)


@pytest.mark.parametrize("engine", ["postgresql", "postgis"])
def test_the_other_engines_promise_no_driver(
    databases: dict[str, Any], monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    databases["default"] = pooled(engine)
    pick(monkeypatch, "psycopg2", "psycopg")
    assert checks.check_databases() == []


def test_each_database_is_checked(databases: dict[str, Any]) -> None:
    databases["default"] = pooled(OPTIONS={"MAX_CONNS": 0}, CONN_MAX_AGE=60)
    databases["replica"] = pooled(OPTIONS={"POOL_MODE": "statement"})
    databases["good"] = pooled()
    messages = checks.check_databases(databases=None, app_configs=None)
    assert [message.id for message in messages] == ["geventpool.E001", "geventpool.W001", "geventpool.E001"]


def test_a_password_is_not_shown(databases: dict[str, Any]) -> None:
    databases["default"] = pooled(PASSWORD="hunter2", OPTIONS={"MAX_CONNS": "many"}, CONN_MAX_AGE=60)
    assert "hunter2" not in str(checks.check_databases())


def test_other_engines_are_none_of_our_business(databases: dict[str, Any]) -> None:
    databases["default"] = {
        "ENGINE": "django.db.backends.postgresql",
        "OPTIONS": {"pool": True, "MAX_CONN": 1},
        "CONN_MAX_AGE": 60,
    }
    databases["other"] = {"ENGINE": "dj_db_conn_pool.backends.postgresql"}
    databases["none"] = {}
    assert checks.check_databases() == []
    assert checks.pooled_databases() == {}


def test_django_runs_the_checks_once_they_are_registered(
    databases: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = CheckRegistry()
    monkeypatch.setattr(checks.checks, "register", registry.register)
    databases["default"] = pooled(OPTIONS={"MAX_CONNS": 0})
    checks.register()
    checks.register()
    assert [message.id for message in registry.run_checks()] == ["geventpool.E001"]
