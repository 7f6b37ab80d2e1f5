"""``python -m tests.django_suite``: Django's own tests on our engine, compared with Django's engine."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from servers.postgres import PostgresServer
from servers.postgres_binaries import PostgresNotFound
from tests.launcher import DRIVERS, ROOT, installed_drivers

from .compare import FAILED, PASSED, SKIPPED, Verdict, judge
from .excused import excused
from .plan import DATABASE_LABELS, MODES, STOCK
from .process import Run, run_suite
from .source import suite_folder

# More processes would need more connections than the server has.
_MOST_PROCESSES = 4


def main(arguments: Sequence[str]) -> int:
    """Run the suites that the command line names, compare, and return the exit status."""
    options = parse(arguments)
    labels = [] if options.all else options.labels or DATABASE_LABELS
    chosen = [*labels, *(f"-k={pattern}" for pattern in options.patterns)]
    try:
        suite = suite_folder(options.folder)
        server = suitable_server()
    except (RuntimeError, PostgresNotFound) as error:
        print(error, file=sys.stderr)
        return 2
    rows = []
    with server:
        # Tests also connect to the databases of Django's settings, beside the test databases.
        for name in ("django", "django2"):
            server.query(f"CREATE DATABASE {name}")
        for driver in options.drivers or installed_drivers():
            stock: dict[str, str] | None = None
            for mode in (*([STOCK] if options.stock else []), *(options.modes or MODES)):
                print(f"\n=== {driver}, {mode} ===", flush=True)
                run = run_suite(suite, server, driver, mode, options.processes, chosen)
                if mode == STOCK:
                    stock = run.outcomes
                    rows.append((run, judge(run.outcomes, run.outcomes, {})))
                else:
                    rows.append((run, judge(run.outcomes, stock, excused(mode, driver))))
    print_summary(rows)
    return 0 if all(verdict.is_good for _, verdict in rows) else 1


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.django_suite", description=__doc__)
    parser.add_argument("labels", nargs="*", help="parts of Django's suite; default: those about the database")
    parser.add_argument("--all", action="store_true", help="the whole suite")
    parser.add_argument("-k", dest="patterns", action="append", default=[], help="only tests with this in their name")
    parser.add_argument("--driver", dest="drivers", action="append", choices=DRIVERS, help="default: all installed")
    parser.add_argument("--mode", dest="modes", action="append", choices=MODES, help="default: both")
    parser.add_argument(
        "--no-stock",
        dest="stock",
        action="store_false",
        help="leave out the run on Django's own engine, which says what has to pass: then every test has to",
    )
    parser.add_argument(
        "--processes",
        type=int,
        default=min(_MOST_PROCESSES, os.cpu_count() or 1),
        help="how many run tests (default: %(default)s)",
    )
    parser.add_argument(
        "--folder", type=Path, default=ROOT / ".tox" / "django", help="where Django's source is kept (%(default)s)"
    )
    options = parser.parse_args(arguments)
    missing = {*(options.drivers or [])} - {*installed_drivers()}
    if missing:
        parser.error(f"not installed: {', '.join(sorted(missing))}")
    return options


def suitable_server() -> PostgresServer:
    """Return a server with the extensions that Django's tests create.

    :raises PostgresNotFound: when there is none.
    """
    try:
        # Of these extensions, servers from wheels lack this one.
        return PostgresServer(extension="uuid-ossp", max_connections=100)
    except PostgresNotFound as error:
        raise PostgresNotFound(
            "Django's suite wants a PostgreSQL server with the contrib extensions, uuid-ossp among them: "
            f"apt-get install postgresql, or set PG_BINDIR to the bin folder of one that has them ({error})"
        ) from error


def print_summary(rows: Sequence[tuple[Run, Verdict]]) -> None:
    """Print a line for each run, then the tests that failed or were excused."""
    columns = ("run", PASSED, SKIPPED, "excused", FAILED, "seconds")
    print(f"\n{'driver':<10}{'mode':<13}" + "".join(f"{column:>9}" for column in columns))
    for run, verdict in rows:
        failed = len(verdict.failed) + len(verdict.failed_in_stock)
        counts = (verdict.run, verdict.passed, verdict.skipped, len(verdict.excused), failed)
        print(f"{run.driver:<10}{run.mode:<13}" + "".join(f"{n:>9}" for n in counts) + f"{run.seconds:>9.0f}")
    for run, verdict in rows:
        where = f"{run.driver}, {run.mode}"
        if not verdict.run:
            print(f"NO TEST HAS RUN in {where}: see its output above")
        for test, reason in verdict.excused.items():
            print(f"excused in {where}: {test}: {reason}")
        for test in verdict.failed_in_stock:
            print(f"failed in {where}, on Django's own engine too: {test}")
        for test in verdict.needlessly_excused:
            print(f"EXCUSED, BUT PASSES in {where}: {test}: take it out of excused.py")
        for test, outcome in verdict.failed.items():
            print(f"FAILED in {where} ({outcome}): {test}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
