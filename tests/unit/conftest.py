"""The tests of a driver are for where it is installed; settings of Django's for those who ask for them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Protocol

import pytest
from django.conf import UserSettingsHolder, global_settings, settings

from django_geventpool.checks import installed

collect_ignore_glob = [
    pattern
    for driver, pattern in (("psycopg2", "test_*_psycopg2.py"), ("psycopg", "test_*_psycopg3.py"))
    if importlib.util.find_spec(driver) is None
]


class Install(Protocol):
    """Makes it seem as if these drivers were installed: Django prefers psycopg 3."""

    def __call__(self, *drivers: str) -> None: ...


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    def seem(*drivers: str) -> None:
        monkeypatch.setattr(installed, "is_psycopg3", lambda: "psycopg" in drivers)
        monkeypatch.setattr(installed, "has_psycopg2", lambda: "psycopg2" in drivers)

    return seem


@pytest.fixture
def databases(monkeypatch: pytest.MonkeyPatch, install: Install) -> Iterator[dict[str, dict[str, Any]]]:
    """DATABASES, to be filled by the test, of a project with psycopg2 and the worker side."""
    holder = UserSettingsHolder(global_settings)
    holder.DATABASES = {}
    install("psycopg2")
    monkeypatch.setitem(sys.modules, "celery_geventpool.signals", ModuleType("celery_geventpool.signals"))
    before, settings._wrapped = settings._wrapped, holder  # As Django's override_settings does, for settings that are.
    yield holder.DATABASES
    settings._wrapped = before


def pooled(engine: str = "postgresql_psycopg2", **settings: Any) -> dict[str, Any]:
    """The settings of a database with a pool."""
    return {"ENGINE": f"django_geventpool.backends.{engine}", "NAME": "shop", **settings}
