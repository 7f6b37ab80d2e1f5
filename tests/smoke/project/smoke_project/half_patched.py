"""A worker whose script has not patched the locks: ``python -m smoke_project.half_patched POOL``."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    if sys.argv[1] == "gevent":
        from gevent import monkey

        monkey.patch_all(thread=False)
    else:
        import eventlet

        eventlet.monkey_patch(thread=False)

    from smoke_project.celery import app

    app.Worker(pool=sys.argv[1], concurrency=4, loglevel="INFO").start()
