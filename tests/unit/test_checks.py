"""Django's system checks of the databases that use the pool."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from django.conf import UserSettingsHolder, global_settings
from django.core.checks import Error, Info
from django.core.checks import Warning as CheckWarning
from django.core.checks.registry import CheckRegistry

from django_geventpool import checks
from tests.support.fresh import run_fresh

ENGINES = ("postgresql_psycopg2", "postgis", "postgresql")


@pytest.fixture
def databases(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """DATABASES, to be filled by the test."""
    settings = UserSettingsHolder(global_settings)
    settings.DATABASES = {}
    monkeypatch.setattr(checks, "settings", settings)
    pick(monkeypatch, "psycopg2")
    monkeypatch.setitem(sys.modules, "celery_geventpool.signals", ModuleType("celery_geventpool.signals"))
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


def make_apps(monkeypatch: pytest.MonkeyPatch, *apps: object) -> None:
    """As if the project had these Celery apps, and had not heard of celery_geventpool."""
    monkeypatch.delitem(sys.modules, "celery_geventpool.signals", raising=False)
    monkeypatch.setitem(sys.modules, "celery._state", SimpleNamespace(_get_active_apps=lambda: apps))


def test_a_celery_project_without_the_worker_side_is_warned(
    databases: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    databases["default"] = pooled()
    make_apps(monkeypatch, object())
    (message,) = checks.check_celery()
    assert isinstance(message, CheckWarning)
    assert message.id == "geventpool.W003"
    assert "not the app celery_geventpool" in message.msg
    assert 'Add "celery_geventpool" to INSTALLED_APPS' in str(message.hint)


def test_a_project_needs_no_worker_side_without_an_app_or_a_pool_or_when_it_is_there(
    databases: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_apps(monkeypatch, object())
    assert checks.check_celery() == []
    databases["default"] = pooled()
    make_apps(monkeypatch)
    assert checks.check_celery() == []
    monkeypatch.delitem(sys.modules, "celery._state")
    assert checks.check_celery() == []
    make_apps(monkeypatch, object())
    monkeypatch.setitem(sys.modules, "celery_geventpool.signals", ModuleType("celery_geventpool.signals"))
    assert checks.check_celery() == []


PROJECT = """
from django.conf import settings
settings.configure(
    DATABASES={"default": {"ENGINE": "django_geventpool.backends.postgresql", "NAME": "shop"}},
    INSTALLED_APPS=["django.contrib.contenttypes", INSTALLED],
    CELERY_DB_REUSE_MAX=REUSE,
)
from celery import Celery
app = Celery("proj")
import django; django.setup()
from django.core.checks import run_checks
print([message.id for message in run_checks()])
"""


@pytest.mark.parametrize(
    ("installed", "reuse", "ids"),
    [
        ("django.contrib.auth", 0, ["geventpool.W003"]),
        ("celery_geventpool", 0, []),
        ("celery_geventpool", 5, ["geventpool.W004"]),
    ],
)
def test_a_real_projects_checks(installed: str, reuse: int, ids: list[str]) -> None:
    """Django imports the engine when it imports the first model; no app of ours is needed for its checks."""
    assert run_fresh(f"INSTALLED, REUSE = {installed!r}, {reuse!r}\n{PROJECT}") == [str(ids)]


def test_servers_are_asked_only_by_name(databases: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def ask(alias: str) -> list[Any]:
        asked.append(alias)
        return []

    monkeypatch.setattr(checks, "check_server", ask)
    databases["default"], databases["other"] = pooled(), {"ENGINE": "django.db.backends.sqlite3"}
    checks.check_servers(databases=None)
    assert asked == []
    checks.check_servers(databases=["default", "other"])
    assert asked == ["default"]


PATCHES = {
    "gevent": "from gevent import monkey; monkey.patch_all()",
    "eventlet": "import eventlet; eventlet.monkey_patch()",
    "threads": "",
}
CHECK_GREEN = """
{patch}
import sys

sys.modules["psycopg"] = None
from django.conf import settings

stock = {{"ENGINE": "django.db.backends.{engine}", "NAME": "reports"}}
pooled = {{"ENGINE": "django_geventpool.backends.postgresql", "NAME": "shop"}}
settings.configure(DATABASES={{"default": pooled, "reports": stock}})
from django_geventpool import checks, patch_psycopg

for message in checks.check_green():
    print(message.id, message.msg, message.hint)
patch_psycopg()
assert checks.check_green() == []
"""


def test_another_engine_in_a_patched_process_needs_psycopg2_green() -> None:
    (line,) = run_fresh(CHECK_GREEN.format(patch=PATCHES["gevent"], engine="postgresql"))
    assert line.startswith("geventpool.W008 gevent has patched this process, but psycopg2 is not green")
    assert 'DATABASES["reports"]' in line
    assert "django_geventpool.patch_psycopg()" in line


@pytest.mark.parametrize(
    ("framework", "engine"),
    # Eventlet makes psycopg2 green itself.
    [("threads", "postgresql"), ("gevent", "sqlite3"), ("eventlet", "postgresql")],
)
def test_nothing_needs_to_be_green_without_greenlets_or_without_another_engine(framework: str, engine: str) -> None:
    assert run_fresh(CHECK_GREEN.format(patch=PATCHES[framework], engine=engine)) == []
