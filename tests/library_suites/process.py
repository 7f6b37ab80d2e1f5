"""Runs the suite of a library in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from xml.etree import ElementTree

from servers.postgres import PostgresServer
from servers.postgres_address import SUPERUSER
from tests.django_suite.compare import FAILED, PASSED, SKIPPED
from tests.django_suite.plan import STOCK
from tests.django_suite.process import ENGINE, STOCK_ENGINE, Run
from tests.launcher import WITHOUT_PSYCOPG

from .plan import Library

_INSIDE = Path(__file__).parent / "inside"
#: How long a suite may take, in seconds: one that waits for a lock for ever is ended.
_LIMIT = 600


def run_suite(checkout: Path, library: Library, server: PostgresServer, driver: str, mode: str) -> Run:
    """Run the tests of a checkout; return the run, without tests if it broke off."""
    given = {
        "settings": library.settings,
        "stock": STOCK_ENGINE,
        "engine": STOCK_ENGINE if mode == STOCK else ENGINE,
        "options": {} if mode == STOCK else {"POOL_MODE": mode, "MAX_CONNS": 10},
    }
    path = [_INSIDE, *([WITHOUT_PSYCOPG] if driver == "psycopg2" else []), checkout, checkout / library.project]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        "LIBRARY_SUITE": json.dumps(given),
        # Tests start their project's manage.py by the name "python".
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
        # The names that the libraries' settings know.
        "DATABASE_URL": f"postgres://{SUPERUSER}@{server.host}:{server.port}/suite",
        "DATABASE_HOST": server.host,
        "DATABASE_PORT": str(server.port),
        "PGPUBSUB_USE_PSYCOPG_V3": str(driver == "psycopg"),
    }
    with tempfile.TemporaryDirectory(prefix="library-suite-") as folder:
        report = Path(folder) / "report.xml"
        options = ["--ds=library_settings", "--create-db", "-p", "no:cacheprovider", f"--junitxml={report}", "-q"]
        start = time.monotonic()
        try:
            subprocess.run(
                [sys.executable, "-m", "pytest", *options, library.tests],
                cwd=checkout,
                env=environment,
                check=False,
                timeout=_LIMIT,
            )
        except subprocess.TimeoutExpired:
            print(f"not at its end after {_LIMIT} seconds")
        return Run(driver, mode, outcomes_of(report), time.monotonic() - start)


def outcomes_of(report: Path) -> dict[str, str]:
    """Return the outcomes by test id that a report of pytest's has; none without a report."""
    outcomes: dict[str, str] = {}
    for case in ElementTree.parse(report).iter("testcase") if report.exists() else ():
        test = f"{case.get('classname')}.{case.get('name')}"
        if case.find("failure") is not None or case.find("error") is not None:
            outcomes[test] = FAILED
        else:
            outcomes.setdefault(test, PASSED if case.find("skipped") is None else SKIPPED)
    return outcomes
