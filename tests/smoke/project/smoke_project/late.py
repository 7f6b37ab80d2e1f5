"""A worker that a script starts too late for Celery to monkey-patch: ``python -m smoke_project.late POOL``."""

from __future__ import annotations

import sys

from smoke_project.celery import app

if __name__ == "__main__":
    app.Worker(pool=sys.argv[1], concurrency=4, loglevel="INFO").start()
