"""The classes of gunicorn's workers that the tests run, and how."""

from __future__ import annotations

from gunicorn.workers import SUPPORTED_WORKERS

#: Arguments by class. gunicorn 26 and later have no eventlet worker.
WORKERS: dict[str, tuple[str, ...]] = {
    name: arguments
    for name, arguments in {"gevent": (), "eventlet": (), "gthread": ("--threads", "50")}.items()
    if name in SUPPORTED_WORKERS
}
#: What --preload takes. The eventlet worker patches before it, the gevent worker after it.
PRELOAD: dict[str, tuple[str, ...]] = {
    "gevent": ("--preload", "--config", "patch_first.conf.py"),
    "eventlet": ("--preload",),
    "gthread": ("--preload",),
}
