"""A soak test: ``python -m tests.soak``. Tasks run for half an hour, are killed, cut off and timed out; then a report.

SOAK_SECONDS (1800) are divided among all frameworks and drivers, which run one after the other in processes of their
own; ``--framework gevent --driver psycopg`` gives them all to one. The exit code is 1 if an answer was wrong, a limit
was broken, a pool wasn't whole at the end, or memory, file descriptors or objects grew.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.launcher import DRIVERS, FRAMEWORKS, WITHOUT_PSYCOPG

ROOT = Path(__file__).parent.parent.parent


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--framework", choices=FRAMEWORKS)
    parser.add_argument("--driver", choices=DRIVERS)
    parser.add_argument("--seconds", type=float, default=float(os.environ.get("SOAK_SECONDS", "1800")))
    options = parser.parse_args()
    cells = list(
        itertools.product(
            [options.framework] if options.framework else FRAMEWORKS, [options.driver] if options.driver else DRIVERS
        )
    )
    results = [run(framework, driver, options.seconds / len(cells)) for framework, driver in cells]
    print(f"\nSoak of {options.seconds:.0f} s\n")
    for result in results:
        print_result(result)
    problems = sum(len(result["problems"]) for result in results)
    print(f"\n{'Everything is flat and right.' if not problems else f'{problems} problems.'}")
    return 1 if problems else 0


def run(framework: str, driver: str, seconds: float) -> dict[str, Any]:
    """Run one framework with one driver in a process of its own, and return its findings."""
    print(f"{framework}, {driver}, {seconds:.0f} s ...", flush=True)
    environment = {**os.environ, "TEST_FRAMEWORK": framework, "TEST_DRIVER": driver}
    if driver == "psycopg2":
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(WITHOUT_PSYCOPG), os.environ.get("PYTHONPATH"))))
    process = subprocess.run(
        [sys.executable, "-m", "tests.soak.worker", framework, str(seconds)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    result: dict[str, Any] = {"framework": framework, "driver": driver, "counts": {}, "measures": [], "problems": []}
    try:
        result |= json.loads(process.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        result["problems"].append(f"ended with {process.returncode} and without a result")
    return result


def print_result(result: dict[str, Any]) -> None:
    counts = ", ".join(f"{count} {name}" for name, count in result["counts"].items())
    print(f"{result['framework']}, {result['driver']}: {counts}")
    for name, before, after in result["measures"]:
        print(f"    {name:<46}{before:>12.1f}{after:>12.1f}")
    for problem in result["problems"]:
        print(f"    PROBLEM {problem}")


if __name__ == "__main__":
    sys.exit(main())
