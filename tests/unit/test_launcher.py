"""Which suites there are, and that no test is in none of them."""

from __future__ import annotations

from tests.launcher import APART, IN_PARTS, ROOT, SUITES, suites_of


def test_every_module_of_tests_is_in_one_suite() -> None:
    folder = ROOT / "tests"
    modules = sorted(folder.rglob("test_*.py"))
    found = [path for suite in SUITES for path in (folder / suite).rglob("test_*.py")]
    assert sorted(found) == modules
    assert all((folder / suite).is_dir() for suite in SUITES)


def test_a_suite_in_parts_is_run_by_its_name() -> None:
    assert list(suites_of("unit")) == ["unit"]
    for name in IN_PARTS:
        assert len(suites_of(name)) > 1
        assert all(suite.startswith(f"{name}/") for suite in suites_of(name))


def test_all_are_all_but_those_apart() -> None:
    assert {*suites_of("all"), *APART} == set(SUITES)
    assert not {*suites_of("all")}.intersection(APART)
