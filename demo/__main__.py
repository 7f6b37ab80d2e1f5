"""Hundreds of greenlets, a few connections: the example project under load.

    python -m demo --help

Starts a PostgreSQL server and a Celery worker, lets the worker index Python's standard library, and counts the server's
connections meanwhile. Runs in a checkout of the repository.
"""

import sys

from .environment import PROJECT_FOLDER
from .main import main

if __name__ == "__main__":
    # As with the example's ``manage.py``, its folder is on the import path.
    sys.path.append(str(PROJECT_FOLDER))
    sys.exit(main())
