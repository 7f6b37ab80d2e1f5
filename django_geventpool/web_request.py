"""The request that a web process works on, for the pool's messages."""

from __future__ import annotations

import functools
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from django.core.signals import request_finished, request_started

from .here import own
from .pool import naming
from .text import printable

#: Stands for the view of a request that hasn't come to one, or never does.
NO_VIEW = "no view"

#: Where a request's environ or scope keeps its label.
_KEY = "geventpool.label"
#: Where a greenlet or thread keeps that of the request that it works on.
_REQUEST = "_geventpool_request"


@dataclass(eq=False)
class RequestLabel:
    """The name of one request."""

    method: str
    #: Without the query string, which may hold anything.
    path: str
    #: The name of its view, for use by task.
    name: str = NO_VIEW

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
    return getattr(own(), _REQUEST, None)


def _on_started(
    environ: MutableMapping[str, Any] | None = None, scope: MutableMapping[str, Any] | None = None, **_kw: Any
) -> None:
    if environ is not None:
        path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"
        method = environ.get("REQUEST_METHOD", "")
        # WSGI decodes the path's bytes as Latin-1, whatever they are.
        environ[_KEY] = label = RequestLabel(method, path.encode("latin-1", "replace").decode("utf-8", "replace"))
    elif scope is not None:
        scope[_KEY] = label = RequestLabel(scope.get("method", ""), scope.get("path", ""))
    else:
        return
    _name_views()
    setattr(own(), _REQUEST, label)
    naming.mark(label)


@functools.cache
def _name_views() -> None:
    """Make Django's handlers tell which view they have found for a request: to look for it again would cost more."""
    from django.core.handlers.base import BaseHandler  # Workers need no handlers.

    resolve_request = BaseHandler.resolve_request

    @functools.wraps(resolve_request)
    def resolve_and_name(self: BaseHandler, request: Any) -> Any:
        match = resolve_request(self, request)
        carrier: Mapping[str, Any] = getattr(request, "environ", None) or getattr(request, "scope", None) or {}
        label = carrier.get(_KEY)
        if label is not None:
            label.name = match.view_name or NO_VIEW
        return match

    BaseHandler.resolve_request = resolve_and_name  # type: ignore[method-assign]


def _on_finished(**_kwargs: Any) -> None:
    setattr(own(), _REQUEST, None)
    naming.mark(None)
