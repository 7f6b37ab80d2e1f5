"""The classes of gunicorn's workers that the tests run, and their arguments."""

from __future__ import annotations

from gunicorn.workers import SUPPORTED_WORKERS

#: Arguments by name. gunicorn 26 and later have no eventlet worker.
WORKERS: dict[str, tuple[str, ...]] = {
    name: arguments
    for name, arguments in {"gevent": (), "eventlet": (), "gthread": ("--threads", "50")}.items()
    if name in SUPPORTED_WORKERS
}
#: Arguments with --preload. The eventlet worker patches before the application is loaded, the gevent worker after.
PRELOAD: dict[str, tuple[str, ...]] = {
    "gevent": ("--preload", "--config", "patch_first.conf.py"),
    "eventlet": ("--preload",),
    "gthread": ("--preload",),
}
