"""The benchmarks' command line: ``python -m benchmarks --help``; another benchmark is named by the first argument."""

from __future__ import annotations

import importlib
import subprocess
import sys

#: Other benchmarks than the main one, by their names on the command line, and their modules.
_OTHERS = {
    "fairness": "benchmarks.fairness.main",
    "faults": "benchmarks.faults.main",
    "fleet": "benchmarks.fleet.main",
    "growth": "benchmarks.growth.main",
    "profile": "benchmarks.profiling.main",
}

if __name__ == "__main__":
    name, rest = (sys.argv[1], sys.argv[2:]) if sys.argv[1:] else ("", [])
    if name == "micro":
        # In a process of its own: it patches the standard library, before anything else is imported.
        sys.exit(subprocess.call([sys.executable, "-m", "benchmarks.micro", *rest]))
    if name in _OTHERS:
        sys.exit(importlib.import_module(_OTHERS[name]).main(rest))
    from benchmarks.main import main

    sys.exit(main())
