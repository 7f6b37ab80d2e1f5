"""What belongs to the running greenlet or thread alone, kept as attributes of one object.

A local of gevent's costs each greenlet that so much as reads it six objects and a callback at its end; an attribute of
the greenlet itself costs nothing until it is set.
"""

from __future__ import annotations

import threading
from typing import Any

from . import green

#: By class, as locals made before monkey-patching would be shared by all greenlets; None where greenlets need none.
_locals: dict[type, Any] = {}


def own() -> Any:
    """Return the object for such attributes: the greenlet, or a local of the threads where nothing is patched.

    They go with the greenlet or thread at the latest. Their names begin with ``_geventpool_``.
    """
    kind = threading.local
    try:
        local = _locals[kind]
    except KeyError:
        local = _locals.setdefault(kind, _make_local())  # If two threads do this, the first wins.
    return green.current_greenlet() if local is None else local


def _make_local() -> Any:
    return threading.local() if green.active() == "threads" else None
