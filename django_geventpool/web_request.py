"""The request that a web process works on, for the pool's messages."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from django.core.signals import request_finished, request_started

from .pool import naming
from .text import printable

#: By class, as locals made before monkey-patching would be shared by all greenlets.
_locals: dict[type, Any] = {}


@dataclass(frozen=True)
class RequestLabel:
    """The name of one request."""

    method: str
    #: Without the query string, which may hold anything.
    path: str

    def __str__(self) -> str:
        # Quoted, as it was sent, so that a path can't break a line of a log.
        return f"request {printable(self.method)} {printable(quote(self.path, errors='replace'))}"


def connect() -> None:
    """Keep track of requests from now on; calling it more than once changes nothing."""
    request_started.connect(_on_started, dispatch_uid=__name__)
    request_finished.connect(_on_finished, dispatch_uid=__name__)


def describe_current_request() -> RequestLabel | None:
    """Return the label of the request that this greenlet or thread works on, None outside of requests.

    An asynchronous view's queries run in a thread that Django keeps for its request, and knows by the same label.
    """
    return getattr(_local(), "label", None)


def _on_started(environ: Mapping[str, Any] | None = None, scope: Mapping[str, Any] | None = None, **_kw: Any) -> None:
    if environ is not None:
        path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"
        method = environ.get("REQUEST_METHOD", "")
        # WSGI decodes the path's bytes as Latin-1, whatever they are.
        label = RequestLabel(method, path.encode("latin-1", "replace").decode("utf-8", "replace"))
    elif scope is not None:
        label = RequestLabel(scope.get("method", ""), scope.get("path", ""))
    else:
        return
    _local().label = label
    naming.mark(label)


def _on_finished(**_kwargs: Any) -> None:
    _local().label = None
    naming.mark(None)


def _local() -> Any:
    local = _locals.get(threading.local)
    if local is None:
        local = _locals.setdefault(threading.local, threading.local())  # If two threads do this, the first wins.
    return local
