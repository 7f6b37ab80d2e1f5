"""The database drivers: psycopg2 and psycopg 3."""

from __future__ import annotations

import importlib.util

from .. import green


def patch_psycopg() -> bool:
    """Make psycopg2 green for the framework that has monkey-patched this process, gevent or eventlet.

    Does nothing without a green framework, or where psycopg2 isn't installed; the pool's connections of psycopg 3 are
    green by themselves. May be called again and again. The engines call it before their first connect, so that a
    forgotten call can't block the hub.

    :return: whether psycopg2 is green now.
    """
    if green.active() == "threads" or importlib.util.find_spec("psycopg2") is None:
        return False
    from .psycopg2_green import patch

    patch()
    return True
