"""Whose code took a connection: the frames outside of Django, the pool, the drivers and what wraps them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from inspect import CO_OPTIMIZED
from traceback import FrameSummary, StackSummary
from types import FrameType
from typing import Any

#: How many frames are kept.
LIMIT = 20

#: Packages and modules between a user's code and the pool, or below both. They never explain why a connection is held.
LIBRARIES = frozenset(
    {
        # Ours, Django's and the drivers'.
        *("django_geventpool", "celery_geventpool", "django", "psycopg", "psycopg2", "psycopg_pool", "psycogreen"),
        # Engines that extend Django's.
        *("django_tenants", "tenant_schemas", "psqlextra", "django_prometheus", "django_multitenant", "cacheops"),
        # What watches queries and tasks.
        *("opentelemetry", "ddtrace", "sentry_sdk", "newrelic", "elasticapm", "aws_xray_sdk", "scout_apm", "wrapt"),
        *("instana", "signalfx_tracing", "debug_toolbar", "silk"),
        # What runs tasks, requests, greenlets and threads.
        *("celery", "kombu", "billiard", "gevent", "eventlet", "greenlet", "asgiref", "gunicorn", "uvicorn", "daphne"),
        *("asyncio", "concurrent", "contextlib", "functools", "runpy", "socketserver", "threading", "wsgiref"),
    }
)


def capture() -> StackSummary:
    """Return the caller's frames that run the user's code, the innermost first; all frames if there are none.

    Cheap, as it is done for each checkout: no line of source is read, and no file looked at, until it is shown.
    """
    return summary_of(sys._getframe(1))  # noqa: SLF001


def summary_of(frame: FrameType | None) -> StackSummary:
    """Return the same for what is running in a frame, and of what called it."""
    frames = list(_frames(frame))
    users = [frame for frame in frames if not is_library_frame(frame)]
    return StackSummary(
        FrameSummary(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name, lookup_line=False)
        for frame in (users or frames)[:LIMIT]
    )


def place() -> str:
    """Return the innermost of those frames, as ``file:line``."""
    frame = next(iter(capture()), None)
    return "an unknown place" if frame is None else f"{frame.filename}:{frame.lineno}"


def is_library_frame(frame: FrameType) -> bool:
    """Return whether a frame is one of Django, the pool, the drivers, or what wraps them."""
    name: str = frame.f_globals.get("__name__") or ""
    return name.partition(".")[0] in LIBRARIES


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def variables(frame: FrameType) -> dict[str, Any]:
    """Return the variables of a frame that may go on running."""
    found = frame.f_locals
    copied = dict(found)
    if (
        sys.version_info < (3, 13)
        and frame.f_code.co_flags & CO_OPTIMIZED
        and frame.f_trace is None
        and sys.getrefcount(found) == _REFERENCES
    ):
        # The frame would keep this copy, with all that is in it, for as long as it runs.
        found.clear()
    return copied


#: How many references such a copy has, unless the frame's own code got it with locals(): the frame's, that of the
#: variable here, and that of an argument.
_REFERENCES = 3
