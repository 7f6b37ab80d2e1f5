"""The request that a web process works on, for the pool's messages."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from django.core.signals import request_finished, request_started
from django.urls import resolve

from .pool import naming
from .text import printable

logger = logging.getLogger("geventpool.pool")

#: Stands for the view of a request whose path leads to none.
NO_VIEW = "no view"

#: By class, as locals made before monkey-patching would be shared by all greenlets.
_locals: dict[type, Any] = {}


@dataclass(eq=False)
class RequestLabel:
    """The name of one request."""

    method: str
    #: Without the query string, which may hold anything.
    path: str
    #: Without the prefix under which the site is mounted.
    path_info: str = ""
    #: The name of its view, for use by task; empty until the request first asks for a connection.
    name: str = ""

    def find_view(self) -> None:
        """Find out which view the request is for, as Django does."""
        self.name = NO_VIEW  # In case that a converter of the URLs queries.
        try:
            self.name = resolve(self.path_info).view_name or NO_VIEW
        except Exception:
            # The project's code has failed, which Django itself will call, and this is for numbers.
            logger.debug("The view of a request could not be found", exc_info=True)

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
    label: RequestLabel | None = getattr(_local(), "label", None)
    if label is not None and not label.name:
        label.find_view()
    return label


def _on_started(environ: Mapping[str, Any] | None = None, scope: Mapping[str, Any] | None = None, **_kw: Any) -> None:
    if environ is not None:
        prefix, path_info = _decoded(environ.get("SCRIPT_NAME", "")), _decoded(environ.get("PATH_INFO", ""))
        label = RequestLabel(environ.get("REQUEST_METHOD", ""), f"{prefix}{path_info}", path_info)
    elif scope is not None:
        path = scope.get("path", "")
        label = RequestLabel(scope.get("method", ""), path, path.removeprefix(scope.get("root_path", "")))
    else:
        return
    _local().label = label
    naming.mark(label)


def _on_finished(**_kwargs: Any) -> None:
    _local().label = None
    naming.mark(None)


def _decoded(path: str) -> str:
    """Return a path of WSGI's, which decodes the bytes as Latin-1, whatever they are."""
    return path.encode("latin-1", "replace").decode("utf-8", "replace")


def _local() -> Any:
    local = _locals.get(threading.local)
    if local is None:
        local = _locals.setdefault(threading.local, threading.local())  # If two threads do this, the first wins.
    return local
