"""``python -m tests.library_suites``: the suites of libraries with session state on our engine, beside Django's."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from servers.postgres import PostgresServer
from servers.postgres_binaries import PostgresNotFound
from tests.django_suite.compare import FAILED, PASSED, SKIPPED, Verdict, judge
from tests.django_suite.plan import MODES, STOCK
from tests.launcher import DRIVERS, installed_drivers

from .plan import LIBRARIES, excused
from .process import run_suite


def main(arguments: Sequence[str]) -> int:
    """Run the suites that the command line names, compare, and return the exit status."""
    options = parse(arguments)
    try:
        server = PostgresServer(max_connections=100)
    except PostgresNotFound as error:
        print(error, file=sys.stderr)
        return 2
    rows: list[tuple[str, str, str, Verdict]] = []
    with server:
        for database in ("suite", "suite_other", "dts_test_project"):
            server.query(f"CREATE DATABASE {database}")
        for name in options.libraries or LIBRARIES:
            for driver in options.drivers or installed_drivers():
                stock: dict[str, str] = {}
                for mode in (STOCK, *(options.modes or MODES)):
                    print(f"\n=== {name}, {driver}, {mode} ===", flush=True)
                    run = run_suite(options.sources / name, LIBRARIES[name], server, driver, mode)
                    if mode == STOCK:
                        stock = run.outcomes
                    rows.append((name, driver, mode, judge(run.outcomes, stock, excused(mode))))
    print_summary(rows)
    return 0 if all(verdict.is_good for *_, verdict in rows) else 1


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.library_suites", description=__doc__)
    parser.add_argument("libraries", nargs="*", help=f"of {', '.join(LIBRARIES)}; default: those in SOURCES")
    parser.add_argument(
        "--sources", type=Path, required=True, help="a folder with checkouts of the libraries, each named as above"
    )
    parser.add_argument("--driver", dest="drivers", action="append", choices=DRIVERS, help="default: all installed")
    parser.add_argument("--mode", dest="modes", action="append", choices=MODES, help="default: both")
    options = parser.parse_args(arguments)
    options.sources = options.sources.resolve()
    unknown = {*options.libraries} - {*LIBRARIES}
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    options.libraries = options.libraries or [name for name in LIBRARIES if (options.sources / name).is_dir()]
    if not options.libraries:
        parser.error(f"no checkouts in {options.sources}")
    return options


def print_summary(rows: Sequence[tuple[str, str, str, Verdict]]) -> None:
    """Print a line for each run, then the tests that failed or were excused."""
    columns = ("run", PASSED, SKIPPED, "excused", FAILED)
    print(f"\n{'library':<20}{'driver':<10}{'mode':<13}" + "".join(f"{column:>9}" for column in columns))
    for name, driver, mode, verdict in rows:
        failed = len(verdict.failed) + len(verdict.failed_in_stock)
        counts = (verdict.run, verdict.passed, verdict.skipped, len(verdict.excused), failed)
        print(f"{name:<20}{driver:<10}{mode:<13}" + "".join(f"{n:>9}" for n in counts))
    for name, driver, mode, verdict in rows:
        where = f"{name}, {driver}, {mode}"
        if not verdict.run:
            print(f"NO TEST HAS RUN in {where}: see its output above")
        for test, reason in verdict.excused.items():
            print(f"excused in {where}: {test}: {reason}")
        # The row of Django's own engine has them all.
        for test in verdict.failed_in_stock if mode == STOCK else ():
            print(f"fails on Django's own engine: {name}, {driver}: {test}")
        for test in verdict.needlessly_excused:
            print(f"EXCUSED, BUT PASSES in {where}: {test}: take it out of plan.py")
        for test, outcome in verdict.failed.items():
            print(f"FAILED in {where} ({outcome}): {test}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
