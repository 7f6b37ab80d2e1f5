"""Fixtures: Django settings, and drivers that seem to be installed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Protocol

import pytest
from django.conf import UserSettingsHolder, global_settings, settings

from django_geventpool.checks import installed


class Install(Protocol):
    """Makes it seem that these drivers are installed: Django prefers psycopg 3."""

    def __call__(self, *drivers: str) -> None: ...


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    def seem(*drivers: str) -> None:
        monkeypatch.setattr(installed, "is_psycopg3", lambda: "psycopg" in drivers)
        monkeypatch.setattr(installed, "has_psycopg2", lambda: "psycopg2" in drivers)

    return seem


@pytest.fixture
def databases(monkeypatch: pytest.MonkeyPatch, install: Install) -> Iterator[dict[str, dict[str, Any]]]:
    """The DATABASES, for the test to fill, of a project with psycopg2 and the worker side."""
    holder = UserSettingsHolder(global_settings)
    holder.DATABASES = {}
    install("psycopg2")
    monkeypatch.setitem(sys.modules, "celery_geventpool.signals", ModuleType("celery_geventpool.signals"))
    kept = vars(settings)  # The settings, if configured yet, and the values read from them.
    before = dict(kept)
    kept.clear()
    kept["_wrapped"] = holder
    yield holder.DATABASES
    kept.clear()
    kept.update(before)


def pooled(engine: str = "postgresql_psycopg2", **settings: Any) -> dict[str, Any]:
    """Return the settings of a database with a pool."""
    return {"ENGINE": f"django_geventpool.backends.{engine}", "NAME": "shop", **settings}
