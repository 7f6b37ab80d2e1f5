"""The runs of libraries' own tests: how outcomes are read, and which settings the tests get."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.django_suite.process import ENGINE, STOCK_ENGINE
from tests.library_suites import __main__ as command
from tests.library_suites import plan, process

SETTINGS = Path(process.__file__).parent / "inside" / "library_settings.py"


def test_outcomes_are_read_from_the_report_and_an_error_afterwards_counts(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    cases = {"a": "", "b": "<failure/>", "c": "<skipped/>", "d": ""}
    written = "".join(f'<testcase classname="tests" name="{name}">{end}</testcase>' for name, end in cases.items())
    teardown = '<testcase classname="tests" name="d"><error/></testcase>'
    report.write_text(f"<testsuites><testsuite>{written}{teardown}</testsuite></testsuites>")
    assert process.outcomes_of(report) == {
        "tests.a": "passed",
        "tests.b": "failed",
        "tests.c": "skipped",
        "tests.d": "failed",
    }
    assert process.outcomes_of(tmp_path / "none.xml") == {}


def test_the_settings_are_the_librarys_with_another_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    library = ModuleType("settings_of_a_library")
    library.DATABASES = {  # type: ignore[attr-defined]
        "default": {"ENGINE": STOCK_ENGINE, "OPTIONS": {"options": "-c jit=off"}},
        "derived": {"ENGINE": "psqlextra.backend"},
        "file": {"ENGINE": "django.db.backends.sqlite3"},
    }
    library.USE_TZ = False  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, library.__name__, library)
    given = {"settings": library.__name__, "stock": STOCK_ENGINE, "engine": ENGINE, "options": {"MAX_CONNS": 10}}
    monkeypatch.setenv("LIBRARY_SUITE", json.dumps(given))
    settings = runpy.run_path(str(SETTINGS))
    assert settings["DATABASES"] == {
        "default": {"ENGINE": ENGINE, "OPTIONS": {"options": "-c jit=off", "MAX_CONNS": 10}},
        "derived": {"ENGINE": "psqlextra.backend", "OPTIONS": {"MAX_CONNS": 10}},
        "file": {"ENGINE": "django.db.backends.sqlite3"},
    }
    assert settings["USE_TZ"] is False
    assert settings["ORIGINAL_BACKEND"] == settings["POSTGRES_EXTRA_DB_BACKEND_BASE"] == ENGINE


def test_the_libraries_are_those_that_the_folder_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "django-pglock").mkdir()
    assert command.parse(["--sources", str(tmp_path)]).libraries == ["django-pglock"]
    for arguments in (["--sources", str(tmp_path / "none")], ["--sources", str(tmp_path), "django"]):
        with pytest.raises(SystemExit):
            command.parse(arguments)
    assert "unknown: django" in capsys.readouterr().err
    assert not plan.excused("session")
