"""Runs Django's runtests.py in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from servers.postgres import PostgresServer
from servers.postgres_address import SUPERUSER
from tests.launcher import WITHOUT_PSYCOPG

from .plan import STOCK

STOCK_ENGINE = "django.db.backends.postgresql"
ENGINE = "django_geventpool.backends.postgresql"
_INSIDE = Path(__file__).parent / "inside"


@dataclass(frozen=True)
class Run:
    """The outcomes of one run by test id, and its duration in seconds."""

    driver: str
    mode: str
    outcomes: dict[str, str]
    seconds: float


def run_suite(
    suite: Path, server: PostgresServer, driver: str, mode: str, processes: int, arguments: Sequence[str]
) -> Run:
    """Run the tests of a suite's folder that ``arguments`` name, in a number of processes.

    :return: the run; without tests if it broke off.
    """
    with tempfile.TemporaryDirectory(prefix="django-suite-") as folder:
        outcomes_file = Path(folder) / "outcomes.json"
        given = {"databases": databases(server, mode), "outcomes_file": str(outcomes_file)}
        path = [_INSIDE, WITHOUT_PSYCOPG] if driver == "psycopg2" else [_INSIDE]
        command = [sys.executable, "runtests.py", "--settings=suite_settings", "--noinput", f"--parallel={processes}"]
        start = time.monotonic()
        subprocess.run(
            [*command, *arguments],
            cwd=suite,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path)), "DJANGO_SUITE": json.dumps(given)},
            check=False,
        )
        outcomes = json.loads(outcomes_file.read_text()) if outcomes_file.exists() else {}
        return Run(driver, mode, outcomes, time.monotonic() - start)


def databases(server: PostgresServer, mode: str) -> dict[str, dict[str, Any]]:
    """Return Django's DATABASES: two, with a user who may create databases and extensions."""
    settings = {"ENGINE": STOCK_ENGINE, "HOST": server.host, "PORT": server.port, "USER": SUPERUSER}
    if mode != STOCK:
        settings |= {"ENGINE": ENGINE, "OPTIONS": {"POOL_MODE": mode, "MAX_CONNS": 10}}
    return {"default": {**settings, "NAME": "django"}, "other": {**settings, "NAME": "django2"}}
