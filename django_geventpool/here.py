"""What belongs to the running greenlet or thread alone, kept as attributes of one object.

A local of gevent's costs each greenlet that so much as reads it six objects and a callback at its end; an attribute of
the greenlet itself costs nothing until it is set.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from . import green

#: What returns that object, by the class of locals: one made before monkey-patching would be shared by all greenlets.
_getters: dict[type, Callable[[], Any]] = {}


def own() -> Any:
    """Return the object for such attributes: the greenlet, or a local of the threads where nothing is patched.

    They go with the greenlet or thread at the latest. Their names begin with ``_geventpool_``.
    """
    kind = threading.local
    try:
        return _getters[kind]()
    except KeyError:
        return _getters.setdefault(kind, _make_getter())()  # If two threads do this, the first wins.


def _make_getter() -> Callable[[], Any]:
    if green.active() != "threads":
        return green.getcurrent()
    local = threading.local()
    return lambda: local
