"""The fixture ``no_session_state`` fails a test that leaves something in a session, and no other."""

from __future__ import annotations

import re
from typing import Any, get_args

import pytest

from django_geventpool.options import PoolMode, SessionStatePolicy
from tests.support.inner_pytest import InnerPytest, outcomes
from tests.support.inner_tests import ALL, CLEAN, DJANGO, HEAD, KILLED, LEAVING, OTHER_WAYS, PIPELINE

from .conftest import MakeDatabase


@pytest.fixture
def inner(make_database: MakeDatabase, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> InnerPytest:
    """Databases for each mode and each SESSION_STATE, and a "default" one."""
    database = make_database(MAX_CONNS=2, role_limit=40)
    aliases: dict[str, dict[str, Any]] = {"default": database.settings}
    for mode in get_args(PoolMode):
        for policy in get_args(SessionStatePolicy):
            options = {"MAX_CONNS": 2, "POOL_MODE": mode, "SESSION_STATE": policy}
            aliases[f"{mode}-{policy}"] = {**database.settings, "OPTIONS": options}
    return InnerPytest(pytester, monkeypatch, aliases)


def run_and_compare(inner: InnerPytest, source: str) -> str:
    """Run inner tests, of which those with "leaves" in their name leave something, each once for each alias.

    :return: the output.
    """
    path = inner.pytester.makepyfile(test_inner=HEAD + source)
    result = inner.run()
    text = result.stdout.str()
    found = outcomes(result)
    assert found, text
    for name, outcome in found.items():
        assert outcome == (["PASSED", "ERROR"] if "leaves" in name else ["PASSED"]), f"{name}: {outcome}\n{text}"
    lines = path.read_text().splitlines()
    expected = {(str(number), line.split()[-1]) for number, line in enumerate(lines, 1) if "# LEFT" in line}
    reports = re.findall(
        rf"^E?  .* \((\w+)\), at {re.escape(str(path))}:(\d+), by (?:thread|greenlet) ", text, re.MULTILINE
    )
    assert {(line, kind) for kind, line in reports} == expected
    assert len(reports) == text.count(", by ")
    return text


def test_what_is_left_fails_the_test(inner: InnerPytest) -> None:
    text = run_and_compare(inner, LEAVING)
    assert text.count(", by ") == 6 * LEAVING.count("# LEFT")
    assert "77MB" not in text.partition("short test summary")[0], "a statement was shown"


def test_in_djangos_transactions(inner: InnerPytest) -> None:
    run_and_compare(inner, DJANGO)


def test_other_ways(inner: InnerPytest) -> None:
    run_and_compare(inner, OTHER_WAYS)


@pytest.mark.driver("psycopg")
def test_other_ways_of_psycopg_3(inner: InnerPytest) -> None:
    run_and_compare(inner, f"import psycopg\n{PIPELINE}")


def test_what_is_undone_or_allowed_fails_no_test(inner: InnerPytest) -> None:
    run_and_compare(inner, CLEAN)


@pytest.mark.frameworks("gevent", "eventlet")
def test_a_task_that_is_killed_leaves_nothing(inner: InnerPytest) -> None:
    run_and_compare(inner, KILLED)


def test_all_tests_of_a_project_may_have_it(inner: InnerPytest) -> None:
    inner.pytester.makeini("[pytest]\nusefixtures = no_session_state")
    inner.pytester.makepyfile(test_inner=ALL)
    assert outcomes(inner.run()) == {
        "test_leaves": ["PASSED", "ERROR"],
        "test_may": ["PASSED"],
        "test_leaves_another": ["PASSED", "ERROR"],
        "test_misspelt": ["ERROR"],
        "test_uses_nothing": ["PASSED"],
    }


def test_without_it_nothing_is_recorded(inner: InnerPytest) -> None:
    inner.pytester.makepyfile(test_inner=ALL)
    assert set(map(tuple, outcomes(inner.run()).values())) == {("PASSED",)}
