"""Which of Django's database wrappers have taken a connection of a pool in the running greenlet or thread.

``django.db.connections`` doesn't know them all: while an event loop runs in a thread, it keeps others for each task of
the loop and, under gevent and eventlet, hides those of all greenlets of that thread.
"""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

#: By class, as locals made before monkey-patching would be shared by all greenlets.
_locals: dict[type, Any] = {}


def note(wrapper: BaseDatabaseWrapper) -> None:
    """Note that a wrapper has taken a connection. It isn't kept alive."""
    noted = _noted()
    if all(reference() is not wrapper for reference in noted):
        noted.append(weakref.ref(wrapper, noted.remove))


def connected() -> list[BaseDatabaseWrapper]:
    """Return the wrappers that took a connection here and have one still, but for those that threads share."""
    wrappers = [reference() for reference in list(_noted())]
    return [
        wrapper
        for wrapper in wrappers
        if wrapper is not None and wrapper.connection is not None and not wrapper.allow_thread_sharing
    ]


def _noted() -> list[weakref.ref[BaseDatabaseWrapper]]:
    local = _locals.get(threading.local)
    if local is None:
        local = _locals.setdefault(threading.local, threading.local())  # Lets one of two threads win.
    try:
        noted: list[weakref.ref[BaseDatabaseWrapper]] = local.noted
    except AttributeError:
        noted = local.noted = []
    return noted
