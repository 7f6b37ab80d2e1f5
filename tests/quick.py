"""The steps of ``tox -e quick``, in two minutes: style, types, layers, unit tests, and contract tests on threads.

``python -m tests.quick [pytest args]`` runs TEST_JOBS steps at the same time.
"""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.launcher import JOBS, NO_TESTS_RAN, ROOT

_TESTS = (sys.executable, "-m", "tests.run")
#: The steps, in the order of their starts: the longest first.
STEPS: dict[str, tuple[str, ...]] = {
    "unit": (*_TESTS, "unit", "--framework", "threads", "-q"),
    "contract, threads": (*_TESTS, "contract", "--framework", "threads", "-q"),
    "types": ("mypy",),
    "layers": ("lint-imports",),
    "style": ("ruff", "check", "."),
    "formatting": ("ruff", "format", "--check", "."),
}
LEFT_OUT = (
    "This was the pool on plain threads. gevent and eventlet, PostgreSQL, workers, web servers, simulated worlds: tox; "
    "both drivers, other versions, faults and other people's libraries: tox -m ci ci-cells"
)


def main(pytest_arguments: list[str]) -> int:
    """Run all steps, print which failed and how long each took, and return the exit code."""
    start = time.monotonic()
    with ThreadPoolExecutor(JOBS) as executor:
        passed = list(executor.map(lambda name: run(name, pytest_arguments), STEPS))
    print(f"\n{sum(passed)} of {len(passed)} steps passed in {time.monotonic() - start:.0f} s. {LEFT_OUT}", flush=True)
    return 0 if all(passed) else 1


def run(name: str, pytest_arguments: list[str]) -> bool:
    """Run a step; print the last line of its output, or all of it if it failed."""
    command = list(STEPS[name])
    if command[:1] == [sys.executable]:
        command += pytest_arguments
    else:
        command[0] = str(Path(sys.executable).with_name(command[0]))  # The environment may not be activated.
    start = time.monotonic()
    process = subprocess.run(
        command, cwd=ROOT, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
    )
    has_passed = process.returncode in (0, NO_TESTS_RAN)
    output = process.stdout.strip()
    if not has_passed:
        print(f"\n=== {name} ===\n{output}\n", flush=True)
    last = output.rpartition("\n")[2].strip("= ")
    print(
        f"{name:<20}{'passed' if has_passed else 'FAILED'}{time.monotonic() - start:>7.1f} s  {last}",
        flush=True,
    )
    return has_passed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
