"""The benchmarks' command line: ``python -m benchmarks --help``, or ``micro``, ``fleet`` or ``faults`` after it."""

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
    if sys.argv[1:2] == ["faults"]:
        from benchmarks.faults.main import main as run_faults

        sys.exit(run_faults(sys.argv[2:]))
    from benchmarks.main import main

    sys.exit(main())
