"""System checks of the project around its databases: Celery's side, and whether psycopg2 is green."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from django.core.checks import Warning as CheckWarning

from django_geventpool.checks.project import check_celery
from tests.support.fresh import run_fresh

from .conftest import pooled


def make_apps(monkeypatch: pytest.MonkeyPatch, *apps: object) -> None:
    """Let the project have these Celery apps, and not install celery_geventpool."""
    monkeypatch.delitem(sys.modules, "celery_geventpool.signals", raising=False)
    monkeypatch.setitem(sys.modules, "celery._state", SimpleNamespace(_get_active_apps=lambda: apps))


def test_a_celery_project_without_the_worker_side_is_warned(
    databases: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    databases["default"] = pooled()
    make_apps(monkeypatch, object())
    (message,) = check_celery()
    assert isinstance(message, CheckWarning)
    assert message.id == "geventpool.W003"
    assert "not the app celery_geventpool" in message.msg
    assert 'Add "celery_geventpool" to INSTALLED_APPS' in str(message.hint)


def test_a_project_needs_no_worker_side_without_an_app_or_a_pool_or_when_it_is_there(
    databases: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_apps(monkeypatch, object())
    assert check_celery() == []
    databases["default"] = pooled()
    make_apps(monkeypatch)
    assert check_celery() == []
    monkeypatch.delitem(sys.modules, "celery._state")
    assert check_celery() == []
    make_apps(monkeypatch, object())
    monkeypatch.setitem(sys.modules, "celery_geventpool.signals", ModuleType("celery_geventpool.signals"))
    assert check_celery() == []


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
from django_geventpool import patch_psycopg
from django_geventpool.checks.project import check_green

for message in check_green():
    print(message.id, message.msg, message.hint)
patch_psycopg()
assert check_green() == []
"""


def test_another_engine_in_a_patched_process_needs_psycopg2_green() -> None:
    (line,) = run_fresh(CHECK_GREEN.format(patch=PATCHES["gevent"], engine="postgresql"))
    assert line.startswith("geventpool.W008 gevent has patched this process, but psycopg2 is not green")
    assert 'DATABASES["reports"]' in line
    assert "django_geventpool.patch_psycopg()" in line


@pytest.mark.parametrize(
    ("framework", "engine"),
    # Eventlet makes psycopg2 green by itself.
    [("threads", "postgresql"), ("gevent", "sqlite3"), ("eventlet", "postgresql")],
)
def test_nothing_needs_to_be_green_without_greenlets_or_without_another_engine(framework: str, engine: str) -> None:
    assert run_fresh(CHECK_GREEN.format(patch=PATCHES[framework], engine=engine)) == []
