"""Runs pytest in a process of its own, patched as this one is, on small files of tests."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from servers.helper import ROOT

from .tasks import FRAMEWORK

#: The environment of the process, which is to load no other plugins than its tests name.
_ENVIRONMENT = {
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PYTHONPATH": os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(ROOT)))),
}
#: Where one of these is set, pytest's summary repeats each failure whole.
_OF_CI = ("CI", "BUILD_NUMBER")
_OUTCOME = re.compile(r"^(?:\S+/)?test_\w+\.py::(\S+) (PASSED|FAILED|ERROR)\b", re.MULTILINE)


class InnerPytest:
    """Runs of pytest in the folder of a ``pytester``.

    :param databases: Django's DATABASES.
    """

    def __init__(
        self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, databases: Mapping[str, dict[str, Any]]
    ) -> None:
        self.pytester = pytester
        self.databases = databases
        for name, value in _ENVIRONMENT.items():
            monkeypatch.setenv(name, value)
        for name in _OF_CI:
            monkeypatch.delenv(name, raising=False)
        pytester.makeconftest('pytest_plugins = ["django_geventpool.pytest_plugin"]')

    def run(self, *arguments: str) -> pytest.RunResult:
        """Run all tests of the folder."""
        return self.pytester.run(
            sys.executable,
            *("-m", "tests.support.program", FRAMEWORK, "run_pytest", json.dumps(self.databases)),
            *("-v", "-p", "no:cacheprovider", "--strict-markers", *arguments),
        )


def outcomes(result: pytest.RunResult) -> dict[str, list[str]]:
    """Return PASSED, FAILED and ERROR, as each test's call and its teardown had them, by the test's name."""
    found: dict[str, list[str]] = {}
    for name, outcome in _OUTCOME.findall("\n".join(result.outlines)):
        found.setdefault(name, []).append(outcome)
    return found
