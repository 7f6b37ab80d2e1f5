"""The benchmarks' command line: ``python -m benchmarks``; also ``micro``, ``fleet``, ``growth`` or ``fairness``."""

from __future__ import annotations

import subprocess
import sys

if __name__ == "__main__":
    if sys.argv[1:2] == ["micro"]:
        # In a process of its own: it patches the standard library, before anything else is imported.
        sys.exit(subprocess.call([sys.executable, "-m", "benchmarks.micro", *sys.argv[2:]]))
    if sys.argv[1:2] == ["fleet"]:
        from benchmarks.fleet.main import main as run_fleets

        sys.exit(run_fleets(sys.argv[2:]))
    if sys.argv[1:2] == ["growth"]:
        from benchmarks.growth.main import main as run_growth

        sys.exit(run_growth(sys.argv[2:]))
    if sys.argv[1:2] == ["fairness"]:
        from benchmarks.fairness.main import main as run_fairness

        sys.exit(run_fairness(sys.argv[2:]))
    from benchmarks.main import main

    sys.exit(main())
