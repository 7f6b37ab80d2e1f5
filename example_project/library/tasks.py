"""Tasks that fetch modules, parse them, and store their definitions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from urllib.parse import quote
from urllib.request import urlopen

from celery import Signature, shared_task
from django.conf import settings
from django.db import transaction

from django_geventpool.utils import close_connection

from .models import Definition, Module
from .parsing import ParsedModule, parse

_FETCH_TIMEOUT = 30.0
# One task indexes a whole package if it has no more modules than this.
_SMALL_PACKAGE = 8


@shared_task
def index_module(path: str) -> int:
    """Index one module; return how many definitions it has.

    The database comes last: a task holds a connection from its first query to its end, and there are far fewer
    connections than tasks.
    """
    parsed = parse(fetch(path))
    store(path, parsed)
    return len(parsed.definitions)


@shared_task
def index_package(paths: list[str]) -> int:
    """Index the modules of a small package at the same time; return how many definitions it has.

    In a gevent or eventlet worker, the executor's threads are greenlets. The worker gives a task's connection back at
    the task's end, but knows nothing of greenlets that the task starts itself: ``close_connection`` gives theirs back.
    This task makes no query before they have ended; otherwise tasks that hold all connections could wait for greenlets
    that need one.
    """
    with ThreadPoolExecutor(max_workers=len(paths)) as executor:
        return sum(executor.map(close_connection(index_module.run), paths))


def plan(paths: Iterable[str]) -> list[Signature]:
    """Return the tasks that index these modules: one for each module or small package."""
    packages: dict[PurePosixPath, list[str]] = defaultdict(list)
    for path in paths:
        packages[PurePosixPath(path).parent].append(path)
    tasks: list[Signature] = []
    for members in packages.values():
        if 1 < len(members) <= _SMALL_PACKAGE:
            tasks.append(index_package.s(members))
        else:
            tasks.extend(index_module.s(path) for path in members)
    return tasks


def fetch(path: str) -> bytes:
    """Return the source of a module."""
    with urlopen(settings.LIBRARY_SOURCE_URL + quote(path), timeout=_FETCH_TIMEOUT) as response:
        source: bytes = response.read()
    return source


@transaction.atomic
def store(path: str, parsed: ParsedModule) -> None:
    """Replace the stored module and its definitions, so that a task may run twice."""
    module, _ = Module.objects.update_or_create(
        path=path,
        defaults={
            "name": path.removesuffix(".py").removesuffix("/__init__").replace("/", "."),
            "lines": parsed.lines,
            "parsable": parsed.parsable,
        },
    )
    module.definitions.all().delete()
    Definition.objects.bulk_create(
        Definition(module=module, kind=found.kind, name=found.name, line=found.line) for found in parsed.definitions
    )
