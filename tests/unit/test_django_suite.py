"""The runs of Django's own tests: how outcomes are recorded and compared."""

from __future__ import annotations

import importlib.util
import io
import pickle
import sys
import tarfile
import unittest
from pathlib import Path
from types import ModuleType

import pytest

from tests.django_suite import __main__ as command
from tests.django_suite import excused, plan, process, source
from tests.django_suite.compare import judge
from tests.launcher import DRIVERS

INSIDE = Path(process.__file__).parent / "inside"


@pytest.fixture(scope="module")
def runner() -> ModuleType:
    spec = importlib.util.spec_from_file_location("suite_runner", INSIDE / "suite_runner.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Various(unittest.TestCase):
    """Tests with every possible outcome."""

    __test__ = False  # pytest must not collect it.

    def test_passes(self) -> None: ...

    def test_fails(self) -> None:
        self.fail()

    def test_raises(self) -> None:
        raise ValueError

    def test_is_skipped(self) -> None:
        self.skipTest("for a reason")

    def test_passes_but_for_one_subtest(self) -> None:
        for number in range(3):
            with self.subTest(number):
                assert number != 1

    def test_passes_but_for_its_cleanup(self) -> None:
        self.addCleanup(self.fail)

    @unittest.expectedFailure
    def test_fails_as_expected(self) -> None:
        self.fail()

    @unittest.expectedFailure
    def test_should_fail(self) -> None: ...


class Impossible(unittest.TestCase):
    __test__ = False

    @classmethod
    def setUpClass(cls) -> None:
        raise ValueError

    def test_never_starts(self) -> None: ...


class Unpicklable(Exception):
    def __reduce__(self) -> str:
        raise RecursionError


def test_every_end_of_a_test_is_noted(runner: ModuleType) -> None:
    suite = unittest.TestSuite()
    for case in (Various, Impossible):
        suite.addTests(unittest.defaultTestLoader.loadTestsFromTestCase(case))
    result = unittest.TextTestRunner(io.StringIO(), resultclass=runner.RecordingResult).run(suite)
    prefix = f"{__name__}.Various."
    assert {test.removeprefix(prefix): end for test, end in result.outcomes.items()} == {
        "test_passes": "passed",
        "test_fails": "failed",
        "test_raises": "failed",
        "test_is_skipped": "skipped",
        "test_passes_but_for_one_subtest": "failed",
        "test_passes_but_for_its_cleanup": "failed",
        "test_fails_as_expected": "failed as expected",
        "test_should_fail": "failed",
        f"setUpClass ({__name__}.Impossible)": "failed",
    }


def test_an_error_that_cannot_be_sent_on_is_sent_as_text(runner: ModuleType) -> None:
    try:
        raise Unpicklable("the message")
    except Unpicklable:
        kind, error, traceback = runner.picklable(sys.exc_info())
    assert kind is RuntimeError
    assert "the message" in str(error)
    pickle.dumps((kind, error, traceback))


def test_what_passes_on_djangos_engine_must_pass() -> None:
    stock = {"a": "passed", "b": "passed", "c": "passed", "d": "passed", "e": "skipped", "f": "failed"}
    ours = {"a": "passed", "b": "failed", "c": "skipped", "e": "failed", "f": "failed", "g": "failed"}
    verdict = judge(ours, stock, {})
    assert verdict.failed == {"b": "failed", "c": "skipped", "d": "not run", "e": "failed", "g": "failed"}
    assert verdict.failed_in_stock == ["f"]
    assert (verdict.run, verdict.passed, verdict.skipped) == (6, 1, 1)
    assert not verdict.is_good


def test_an_excused_test_may_fail_but_not_pass() -> None:
    stock = {"a": "passed", "b": "passed", "c": "passed"}
    excuses = {"a": "reason", "b": "other reason", "elsewhere": "another"}
    verdict = judge({"a": "failed", "b": "passed", "c": "passed"}, stock, excuses)
    assert verdict.excused == {"a": "reason"}
    assert verdict.needlessly_excused == ["b"]
    assert not verdict.failed
    assert not verdict.is_good
    assert judge({"a": "failed", "b": "failed", "c": "passed"}, stock, excuses).is_good


def test_without_djangos_engine_to_compare_with_nothing_may_fail() -> None:
    verdict = judge({"a": "passed", "b": "failed", "c": "skipped"}, None, {})
    assert verdict.failed == {"b": "failed"}


def test_a_run_without_tests_is_not_good() -> None:
    assert not judge({}, {"a": "passed"}, {}).is_good
    assert not judge({}, None, {}).is_good


def test_excuses_name_each_test_once_with_a_reason() -> None:
    for mode in plan.MODES:
        for driver in DRIVERS:
            tests = [each.test for each in excused.EXCUSES if mode in each.modes and driver in each.drivers]
            assert len(tests) == len(set(tests))
    assert all(each.reason and each.modes and each.drivers for each in excused.EXCUSES)


def test_the_archive_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def archive(release: str, folder: Path) -> Path:
        downloads.append(release)
        path = folder / f"django-{release}.tar.gz"
        with tarfile.open(path, "w:gz") as tar:
            tar.add(__file__, f"django-{release}/tests/runtests.py")
        return path

    downloads: list[str] = []
    monkeypatch.setattr(source, "download", archive)
    for _ in range(2):
        assert (source.suite_folder(tmp_path / "cache") / "runtests.py").is_file()
    assert len(downloads) == 1
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_failed_download_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(RuntimeError, match=r"source archive of Django 0\.0\.1"):
        source.download("0.0.1", tmp_path)


def test_a_machine_without_a_suitable_server_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PG_BINDIR", str(tmp_path))
    monkeypatch.setattr(command, "suite_folder", lambda _folder: tmp_path)
    assert command.main([]) == 2
    message = capsys.readouterr().err
    assert "uuid-ossp" in message
    assert f"PG_BINDIR={tmp_path}" in message


def test_a_driver_that_is_not_installed_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "installed_drivers", lambda: ["psycopg2"])
    with pytest.raises(SystemExit):
        command.parse(["--driver", "psycopg"])
    assert "not installed: psycopg" in capsys.readouterr().err
