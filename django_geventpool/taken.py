"""The wrappers of Django's that have taken a connection of a pool in the running greenlet or thread.

``django.db.connections`` doesn't know them all: while an event loop runs in a thread, it keeps others for each task of
the loop and, under gevent and eventlet, hides those of all greenlets of that thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .pool.owner import owners

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper


def connected() -> list[BaseDatabaseWrapper]:
    """Return the wrappers that took a connection here and still have one, except those that threads share."""
    found = []
    for owner in owners():
        adapter = owner.referent
        wrapper = None if adapter is None else adapter.wrapper()
        if wrapper is not None and wrapper.connection is not None and not wrapper.allow_thread_sharing:
            found.append(wrapper)
    return found
