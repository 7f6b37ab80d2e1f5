"""Hundreds of greenlets, a few connections: the example project under load.

    python example_project/demo.py --help

Starts a PostgreSQL server and a Celery worker, lets the worker index Python's standard library,
and counts the server's connections meanwhile. Works from a checkout of the repository.
"""

import sys
from pathlib import Path

# The servers are in the checkout's top folder, and so are the packages where they aren't installed.
sys.path.append(str(Path(__file__).resolve().parent.parent))

from demo_support.main import main

if __name__ == "__main__":
    sys.exit(main())
