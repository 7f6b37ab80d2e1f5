"""Views that query the database, and one that shows the pool's numbers."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator

from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse

from django_geventpool import green, pools

CHUNK = b"x" * 65536


def backend_pid(seconds: float = 0) -> int:
    """Return the id of the server process of this holder's connection, after some seconds."""
    with connection.cursor() as cursor:
        cursor.execute("select pg_backend_pid() from pg_sleep(%s)", [seconds])
        return int(cursor.fetchone()[0])


def seconds_of(request: HttpRequest) -> float:
    return float(request.GET.get("seconds", "0"))


def numbers(request: HttpRequest) -> HttpResponse:
    """Show the id of the process that answers, and its pool's numbers, without a connection."""
    pool = pools.get("default")
    return JsonResponse(
        {
            "process": os.getpid(),
            "framework": green.active(),
            "pool": None if pool is None else dataclasses.asdict(pool.stats()),
        }
    )


def ask(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"pid": backend_pid(seconds_of(request))})


def fail(request: HttpRequest) -> HttpResponse:
    backend_pid()
    raise ValueError("on purpose")


def fail_in_atomic(request: HttpRequest) -> HttpResponse:
    with transaction.atomic():
        backend_pid()
        raise ValueError("on purpose")


def block_process(request: HttpRequest) -> HttpResponse:
    """Block all greenlets of the process in the middle of a transaction, as a C library's call may."""
    with transaction.atomic():
        backend_pid()
        green.original("time", "sleep")(600)
    return HttpResponse()


def stream(request: HttpRequest) -> StreamingHttpResponse:
    """Return an endless page, with a query for each part."""

    def parts() -> Iterator[bytes]:
        while True:
            backend_pid()
            yield CHUNK

    return StreamingHttpResponse(parts())
