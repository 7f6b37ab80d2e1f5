"""The system checks as a whole: when they run, and what the documentation says of each."""

from __future__ import annotations

import ast
import inspect
import re
from typing import Any

import pytest
from django.core.checks.registry import CheckRegistry

from celery_geventpool import checks as worker_checks
from django_geventpool import checks
from django_geventpool.checks import fleet, ids, pooler, project, server, session_apps, settings
from tests.conftest import ROOT
from tests.support.fresh import run_fresh

from .conftest import pooled

#: The ids of checks by their names.
IDS = {name: value for name, value in vars(ids).items() if name.isupper()}


def test_django_runs_the_checks_once_they_are_registered(
    databases: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = CheckRegistry()
    monkeypatch.setattr(checks.checks, "register", registry.register)
    databases["default"] = pooled(OPTIONS={"MAX_CONNS": 0})
    checks.register()
    checks.register()
    assert [message.id for message in registry.run_checks()] == ["geventpool.E001"]


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
    ("installed", "reuse", "found"),
    [
        ("django.contrib.auth", 0, ["geventpool.W003"]),
        ("celery_geventpool", 0, []),
        ("celery_geventpool", 5, ["geventpool.W004"]),
    ],
)
def test_a_real_projects_checks(installed: str, reuse: int, found: list[str]) -> None:
    """The engine's checks need no app of ours: Django imports the engine with the first model."""
    assert run_fresh(f"INSTALLED, REUSE = {installed!r}, {reuse!r}\n{PROJECT}") == [str(found)]


def test_the_docs_explain_each_id_once() -> None:
    headings = re.findall(r"^### `(geventpool\.\w+)`: ", (ROOT / "docs" / "checks.md").read_text(), re.MULTILINE)
    assert sorted(headings) == sorted(IDS.values())


@pytest.mark.parametrize("check_id", IDS.values())
def test_each_check_has_a_test(check_id: str) -> None:
    tests = (ROOT / "tests").rglob("test_*.py")
    assert any(f'"{check_id}"' in path.read_text() for path in tests)


def test_each_message_has_a_hint_and_an_id_of_the_list() -> None:
    used = set()
    for module in (settings, project, server, fleet, pooler, session_apps, worker_checks):
        for call in ast.walk(ast.parse(inspect.getsource(module))):
            arguments = {word.arg: ast.unparse(word.value) for word in getattr(call, "keywords", ())}
            if "id" in arguments:
                assert "hint" in arguments
                used.add(arguments["id"])
    assert used == {f"ids.{name}" for name in IDS}
