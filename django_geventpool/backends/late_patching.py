"""What to do about a process that was monkey-patched after Django's engine had been imported."""

from __future__ import annotations

import sys
from pathlib import Path

from .. import green


def explain() -> str:
    """Return what is wrong, and how to patch first in the kind of program that runs, in words."""
    return (
        "The process was monkey-patched after Django's database engine had been imported, so that all greenlets share "
        f"what Django keeps for each thread. Patch first thing: {_how()}"
    )


def _how() -> str:
    eventlet = green.active() == "eventlet"
    patch = "import eventlet; eventlet.monkey_patch()" if eventlet else "from gevent import monkey; monkey.patch_all()"
    framework = "eventlet" if eventlet else "gevent"
    if "gunicorn.arbiter" in sys.modules:
        return f'for gunicorn\'s --preload with "{patch}" in gunicorn.conf.py.'
    if "uwsgi" in sys.modules:  # It is there in processes of uWSGI only.
        if eventlet:
            return f'with "{patch}" in a file that uWSGI imports before the application (shared-pyimport).'
        return "with uWSGI's option gevent-early-monkey-patch."
    if "celery.bin.worker" in sys.modules:
        return (
            f'"celery -A PROJECT worker -P {framework}" does so on the command line, before it imports anything of the '
            f'project. A script that starts a worker needs "{patch}" in its first line.'
        )
    script = Path(sys.argv[0] if sys.argv else "")
    name = script.name if script.is_file() else "the program"
    return f'with "{patch}" in the first line of {name}, before anything else is imported.'
