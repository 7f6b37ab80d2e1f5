"""Processes that are monkey-patched too late are told what to do about it, by kind of program."""

from __future__ import annotations

import importlib.util

import pytest

from tests.support.fresh import run_fresh

PATCHES = {
    "gevent": "from gevent import monkey; monkey.patch_all()",
    "eventlet": "import eventlet; eventlet.monkey_patch()",
}

PROGRAM = """
import sys, types
from django.conf import settings
settings.configure(DATABASES={"default": {"ENGINE": "django_geventpool.backends.postgresql", "NAME": "any"}})
import django
django.setup()
from django.db import DatabaseError, connections
wrapper = connections["default"]
%(kind)s
%(patch)s
import threading

def use():
    try:
        wrapper.validate_thread_sharing()
    except DatabaseError as error:
        print(error)

thread = threading.Thread(target=use)
thread.start()
thread.join()
"""

KINDS = {
    "script": ("", 'with "{patch}" in the first line of the program, before anything else is imported.'),
    "celery": (
        "import celery.bin.worker",
        (
            '"celery -A PROJECT worker -P {framework}" does so on the command line, before it imports anything of the '
            'project. A script that starts a worker needs "{patch}" in its first line.'
        ),
    ),
    "gunicorn": ("import gunicorn.arbiter", 'for gunicorn\'s --preload with "{patch}" in gunicorn.conf.py.'),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("framework", PATCHES)
def test_what_to_do_depends_on_what_runs(framework: str, kind: str) -> None:
    preparation, advice = KINDS[kind]
    if kind == "gunicorn" and importlib.util.find_spec("gunicorn") is None:
        pytest.skip("gunicorn is not installed")
    (line,) = run_fresh(PROGRAM % {"kind": preparation, "patch": PATCHES[framework]})
    assert line.startswith("The process was monkey-patched after Django's database engine had been imported")
    assert line.endswith(advice.format(patch=PATCHES[framework], framework=framework))


def test_uwsgi_has_options_for_it() -> None:
    (line,) = run_fresh(
        PROGRAM % {"kind": "sys.modules['uwsgi'] = types.ModuleType('uwsgi')", "patch": PATCHES["gevent"]}
    )
    assert line.endswith("with uWSGI's option gevent-early-monkey-patch.")
