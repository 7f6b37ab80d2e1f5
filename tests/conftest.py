"""Fixtures and rules for all suites."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Literal, TypeVar, cast

import pytest

from servers.postgres import PostgresServer
from servers.postgres_address import Postgres
from servers.postgres_binaries import PostgresNotFound
from tests.support.selection import is_meant, marks_of_module
from tests.support.tasks import FRAMEWORK

pytest_plugins = ["pytester"]

Framework = Literal["gevent", "eventlet", "threads"]
Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

ROOT = Path(__file__).parent.parent
PACKAGES = ("celery_geventpool", "django_geventpool")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to test the checkout when the installed packages should be tested."""
    if os.environ.get("TEST_INSTALLED"):
        for name, folder in _package_folders().items():
            if folder == ROOT / name:
                raise pytest.UsageError(f"{name} is imported from the checkout, {folder}")


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Print the versions that are tested."""
    folders = [f"{name} from {folder}" for name, folder in _package_folders().items()]
    return [f"framework: {FRAMEWORK}", *folders]


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Ignore modules for other frameworks and drivers, whose imports may be missing."""
    is_test = collection_path.match("test_*.py")
    return True if is_test and not is_meant(marks_of_module(collection_path)) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect single tests for other frameworks and drivers."""
    others = [item for item in items if not is_meant((mark.name, mark.args) for mark in item.iter_markers())]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI, make skipped tests fail."""
    return _fail_skip_in_ci((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """In CI, make modules that skip themselves as a whole fail."""
    return _fail_skip_in_ci((yield))


@pytest.fixture(scope="session")
def framework() -> Framework:
    """The framework that this process is monkey-patched for; "threads" if it isn't."""
    return cast("Framework", FRAMEWORK)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The session's PostgreSQL server: that of TEST_DATABASE_URL, or one that is started.

    Tests that stop a server, or need settings, start a ``PostgresServer`` of their own.
    """
    url = os.environ.get("TEST_DATABASE_URL")
    if url:
        yield Postgres.from_url(url)
        return
    try:
        server = PostgresServer(max_connections=100)
    except PostgresNotFound as error:
        pytest.skip(str(error))
    with server:
        yield server


def _package_folders() -> dict[str, Path]:
    folders = {}
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            folders[name] = Path(spec.origin).parent
    return folders


def _fail_skip_in_ci(report: Report) -> Report:
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI"):
        report.outcome = "failed"
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.longrepr = f"left out, which CI does not allow: {reason}"
    return report
