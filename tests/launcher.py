"""``python -m tests.run`` after the process is patched: one run of pytest, or a plan of many."""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parent.parent
FRAMEWORKS = ("gevent", "eventlet", "threads")
PLAIN = ("threads",)
DRIVERS = ("psycopg2", "psycopg")
NO_TESTS_RAN = 5
#: Folders of tests, in the order in which they begin: the longest first, as one that began late would leave processors
#: idle at the end; those that hardly wait last, as they use what is left of them.
SUITES: dict[str, tuple[str, ...]] = {
    "integration": FRAMEWORKS,
    "cluster": PLAIN,
    "smoke/lifecycle": PLAIN,
    "smoke/tasks": PLAIN,
    "smoke/operations": PLAIN,
    "web": PLAIN,
    "contract": FRAMEWORKS,
    "servers": PLAIN,
    "unit": PLAIN,
    "simulation": PLAIN,
    "faults": FRAMEWORKS,
    "libraries": FRAMEWORKS,
    "docs": PLAIN,
    "browser": PLAIN,
}
#: Suites that are parts of one, in whose folder they are.
IN_PARTS = ("smoke",)
#: The suites that run once per driver.
WITH_DRIVERS = ("integration", "faults", "libraries")
#: The suites that aren't part of ``all``, as they have environments of their own.
APART = ("faults", "libraries", "docs", "browser")
#: How long a test may take, in seconds, where that isn't the usual: it runs a program hundreds of times, and watches
#: over each run itself.
PATIENCE = {"faults": 1800}
#: How many runs go on at the same time: four fill two cores, as they wait, too; fewer where others run beside them.
JOBS = int(os.environ.get("TEST_JOBS", "4"))
#: Where files are in memory, on Linux, and what must be free there. Hundreds of database clusters come and go in a run:
#: on ext4 their many small files take more of the processors than the tests.
MEMORY_FOLDER = "/dev/shm"
MEMORY_NEEDED = 4 * 2**30
#: A folder with a psycopg that can't be imported.
WITHOUT_PSYCOPG = ROOT / "tests" / "without_psycopg"


@dataclass
class Result:
    """The result of one pytest process."""

    suite: str
    framework: str
    driver: str
    exit_code: int
    seconds: float
    passed: int = 0
    failed: int = 0
    note: str = ""
    skip_reasons: Counter[str] = field(default_factory=Counter)

    @property
    def skipped(self) -> int:
        return self.skip_reasons.total()


def main(arguments: list[str]) -> int:
    """Run the suites that the command line names; return the exit code."""
    keep_files_in_memory()
    parser = argparse.ArgumentParser(prog="python -m tests.run", epilog="Other arguments go to pytest.")
    parser.add_argument("suite", choices=[*IN_PARTS, *SUITES, "all"])
    parser.add_argument("--framework", choices=FRAMEWORKS)
    parser.add_argument("--driver", choices=DRIVERS)
    options, pytest_arguments = parser.parse_known_args(arguments)
    if options.driver is not None and options.driver not in installed_drivers():
        parser.error(f"{options.driver} is not installed")
    if options.framework is None:
        return run_plan(options.suite, options.driver, pytest_arguments)
    if options.suite == "all":
        parser.error("--framework goes with one suite, not with all")
    return run_here(options.suite, options.framework, options.driver, pytest_arguments)


def keep_files_in_memory() -> None:
    """Put temporary files into memory, in children too, if there is room and TMPDIR is not set."""
    if "TMPDIR" in os.environ or not Path(MEMORY_FOLDER).is_dir():
        return
    place = os.statvfs(MEMORY_FOLDER)
    # Containers may forbid programs there, and PostgreSQL's are copied there if its user can't read them elsewhere.
    if place.f_bavail * place.f_frsize >= MEMORY_NEEDED and not place.f_flag & os.ST_NOEXEC:
        os.environ["TMPDIR"] = tempfile.tempdir = MEMORY_FOLDER


def installed_drivers() -> list[str]:
    """Return the drivers that can be imported."""
    return [driver for driver in DRIVERS if importlib.util.find_spec(driver) is not None]


def choose_driver(driver: str | None) -> None:
    """Make Django use a driver, in this process and its children; if both are installed, Django prefers psycopg 3."""
    if driver == "psycopg2":
        folder = str(WITHOUT_PSYCOPG)
        sys.path.insert(0, folder)
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (folder, os.environ.get("PYTHONPATH"))))
    os.environ["TEST_DRIVER"] = driver or installed_drivers()[-1]


def run_here(suite: str, framework: str, driver: str | None, pytest_arguments: list[str]) -> int:
    """Run pytest on one suite in this process, which is already patched for ``framework``."""
    # "python -m" puts the checkout first on the path, where it hides the installed packages.
    sys.path[:] = [*(entry for entry in sys.path if Path(entry) != ROOT), str(ROOT)]
    os.environ["TEST_FRAMEWORK"] = framework
    choose_driver(driver)

    import pytest

    from tests.support import forks

    forks.register()

    patience = [f"--override-ini=faulthandler_timeout={PATIENCE[suite]}"] if suite in PATIENCE else []
    # Where pytest-django is installed, it would keep the tests from their databases.
    return pytest.main([str(ROOT / "tests" / suite), "-p", "no:django", *patience, *pytest_arguments])


def run_plan(suite: str, driver: str | None, pytest_arguments: list[str]) -> int:
    """Run one suite or all, each with each of its frameworks and drivers in a process of its own; sum up."""
    runs = [
        (name, framework, chosen)
        for name, frameworks in suites_of(suite).items()
        for framework, chosen in itertools.product(
            frameworks, installed_drivers() if name in WITH_DRIVERS and driver is None else [driver]
        )
    ]
    with tempfile.TemporaryDirectory(prefix="junit-") as folder:

        def run(key: tuple[str, str, str | None]) -> Result:
            report = Path(folder) / f"{'-'.join(map(str, key)).replace('/', '-')}.xml"
            return run_process(*key, report, pytest_arguments)

        with ThreadPoolExecutor(JOBS) as executor:
            results = list(executor.map(run, runs))
    print_summary(results)
    return 1 if any(result.failed for result in results) else 0


def suites_of(name: str) -> dict[str, tuple[str, ...]]:
    """The suite with this name or its parts, or all of them but those apart, with their frameworks."""
    if name == "all":
        return {suite: frameworks for suite, frameworks in SUITES.items() if suite not in APART}
    return {suite: frameworks for suite, frameworks in SUITES.items() if suite == name or suite.startswith(f"{name}/")}


def run_process(suite: str, framework: str, driver: str | None, report: Path, pytest_arguments: list[str]) -> Result:
    """Run one suite with one framework and one driver (None: Django's choice) in a process of its own.

    Its output is printed at its end, so that runs at the same time don't mix theirs.
    """
    command = [sys.executable, "-m", "tests.run", suite, "--framework", framework]
    if driver is not None:
        command += ["--driver", driver]
    start = time.monotonic()
    process = subprocess.run(
        [*command, f"--junitxml={report}", *pytest_arguments],
        cwd=ROOT,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    print(f"\n=== {', '.join(filter(None, (suite, framework, driver)))} ===\n{process.stdout}", flush=True)
    result = Result(suite, framework, driver or "", process.returncode, time.monotonic() - start)
    if report.exists():
        count(report, result)
    else:
        result.note = "ended without a report"
    if result.exit_code == NO_TESTS_RAN:
        result.note = "no test ran"
    if result.exit_code != 0 and result.failed == 0:
        result.failed = 1
    return result


def count(report: Path, result: Result) -> None:
    """Add the numbers of pytest's report to ``result``."""
    for case in ElementTree.parse(report).iter("testcase"):
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            result.failed += 1
        elif skipped is None or skipped.get("type") == "pytest.xfail":
            result.passed += 1
        else:
            # If a module skips itself as a whole, the reason is in the text.
            message = skipped.get("message", "no reason given")
            reason = skipped.text if message == "collection skipped" else message
            result.skip_reasons[reason or message] += 1


def print_summary(results: list[Result]) -> None:
    """Print one line a run, what was left out and why, and the sums."""
    print(f"\n{'suite':<18}{'framework':<11}{'driver':<10}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}")
    for result in results:
        print(
            f"{result.suite:<18}{result.framework:<11}{result.driver:<10}{result.passed:>8}{result.failed:>8}"
            f"{result.skipped:>9}{result.seconds:>9.1f}  {result.note}"
        )
    for result in results:
        for reason, times in result.skip_reasons.items():
            print(f"left out in {result.suite}, {result.framework}: {reason} ({times} times)")
    if not any(result.skipped for result in results):
        print("nothing was left out")
    passed = sum(result.passed for result in results)
    failed = sum(result.failed for result in results)
    skipped = sum(result.skipped for result in results)
    print(f"{passed} passed, {failed} failed, {skipped} skipped", flush=True)
