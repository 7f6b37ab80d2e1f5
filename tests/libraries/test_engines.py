"""Engines that others, or the project itself, derive from ours count as ours, by their class, not their name."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from tests.support.fresh import run_fresh

OURS = "django_geventpool.backends.postgresql"

#: By case: ENGINE, the settings that derive it from another one, and what has to be installed.
DERIVED: dict[str, tuple[str, dict[str, Any], str]] = {
    "own": ("tests.support.engines.postgresql", {}, "django"),
    "django-prometheus": ("tests.support.engines.prometheus", {}, "django_prometheus"),
    "django-tenants": ("django_tenants.postgresql_backend", {"ORIGINAL_BACKEND": OURS}, "django_tenants"),
    "psqlextra": ("psqlextra.backend", {"POSTGRES_EXTRA_DB_BACKEND_BASE": OURS}, "psqlextra"),
}

PROJECT = """
{patch}
import sys
sys.modules["psycopg"] = None
from django.conf import settings
settings.configure(
    DATABASES={{"default": {{"ENGINE": {engine!r}, "NAME": "shop", "HOST": "127.0.0.1", "PORT": 1, **{more!r}}}}},
    INSTALLED_APPS=["django.contrib.contenttypes"],
    **{settings!r},
)
import django; django.setup()
from celery_geventpool import operations
from django_geventpool import engines
from django_geventpool.checks.project import check_green
from django_geventpool.checks.settings import check_databases
"""


def derived(name: str, more: dict[str, Any] | None = None, patch: str = "", *, stock: bool = False) -> str:
    """Return the beginning of a program with an engine derived from ours or, by the same name, from Django's."""
    engine, settings, library = DERIVED[name]
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    return PROJECT.format(engine=engine, settings={} if stock else settings, more=more or {}, patch=patch)


@pytest.mark.parametrize("name", DERIVED)
def test_a_derived_engine_has_a_pool_and_its_limit(name: str) -> None:
    program = derived(name, {"OPTIONS": {"MAX_CONNS": 7}})
    assert run_fresh(f"{program}\nprint(*engines.pooled_databases(), operations.limits())") == [
        "default {'default': 7}"
    ]


@pytest.mark.parametrize("name", DERIVED)
def test_the_settings_of_a_derived_engine_are_checked(name: str) -> None:
    program = derived(name, {"OPTIONS": {"MAX_CONN": 7}, "CONN_MAX_AGE": 5, "POOL_SIZE": 5})
    (line,) = run_fresh(f"{program}\nprint(*(message.id for message in check_databases()))")
    assert line == "geventpool.E001 geventpool.W012 geventpool.W001"


GEVENT = "from gevent import monkey; monkey.patch_all()"


@pytest.mark.parametrize("name", DERIVED)
def test_a_derived_engine_sees_to_it_that_psycopg2_is_green(name: str) -> None:
    assert run_fresh(f"{derived(name, patch=GEVENT)}\nprint(check_green())") == ["[]"]


@pytest.mark.parametrize("name", ["django-tenants", "psqlextra"])
def test_the_same_engine_on_djangos_does_not_and_has_no_pool(name: str) -> None:
    program = derived(name, patch=GEVENT, stock=True)
    ids, pooled = run_fresh(f"{program}\nprint(*(m.id for m in check_green()))\nprint(engines.pooled_databases())")
    assert (ids, pooled) == ("geventpool.W008", "{}")


def test_looking_at_an_engine_imports_no_driver_for_djangos_and_survives_those_that_can_not_be_imported() -> None:
    (line,) = run_fresh(
        """
        import sys
        from types import ModuleType
        from django.conf import settings
        engines = ["django.db.backends.mysql", "django.db.backends.postgresql", "no_such_engine", "", "shop.empty"]
        sys.modules["shop"], sys.modules["shop.empty"] = ModuleType("shop"), ModuleType("shop.empty")
        sys.modules["shop"].__path__ = []
        sys.modules["shop.empty.base"] = ModuleType("shop.empty.base")
        settings.configure(DATABASES={str(number): {"ENGINE": engine} for number, engine in enumerate(engines)})
        from django_geventpool import checks, engines
        found = engines.pooled_databases()
        is_postgresql = [engines.is_postgresql(database["ENGINE"]) for database in settings.DATABASES.values()]
        print(found, is_postgresql, [name for name in ("psycopg", "psycopg2", "MySQLdb") if name in sys.modules])
        """
    )
    assert line == "{} [False, True, False, False, False] []"


WITHOUT_DRIVER = """
import sys
sys.modules["psycopg"] = sys.modules["psycopg2"] = None
from django.conf import settings
settings.configure(DATABASES={{"default": {{"ENGINE": {engine!r}, "NAME": "shop"}}}})
from django_geventpool import engines
from django_geventpool.checks.settings import check_databases
print(*engines.pooled_databases(), check_databases())
"""


@pytest.mark.parametrize(("engine", "found"), [(OURS, "default []"), (DERIVED["own"][0], "[]")])
def test_an_engine_without_a_driver_does_not_fail_the_checks(engine: str, found: str) -> None:
    """Django itself says what is missing, when it makes the wrapper."""
    assert run_fresh(WITHOUT_DRIVER.format(engine=engine)) == [found]
