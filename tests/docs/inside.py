"""Runs a block in a fresh process, in a project that has what the block takes for granted."""

from __future__ import annotations

import ast
import asyncio
import inspect
import types
from typing import Any

#: What an example's project has, besides what the example shows.
AROUND: dict[str, Any] = {
    "urls": [],
    "HOST": "db.example.org",
    "request": types.SimpleNamespace(user=types.SimpleNamespace(pk=1)),
}
#: And what is in its INSTALLED_APPS.
APPS = [
    *("pgactivity", "pglock", "celery_geventpool"),
    *("django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes"),
]


async def download(urls: list[str]) -> list[str]:
    return urls


def make_report(pk: int) -> str:
    """Query, as a report would, in whatever thread it is called."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::int", [pk])
        return str(cursor.fetchone())


def run(source: str, server: dict[str, Any]) -> None:
    """Run a block: settings are used to connect, a fragment of them is checked, everything else is executed.

    :param server: Django's settings of the server's address and of the role that logs in.
    """
    code = source if _is_a_module(source) else f"DATABASES = {{'default': {{{source}}}}}"
    names: dict[str, Any] = {}
    if "DATABASES" in _assigned(code):
        exec(compile(code, "settings", "exec"), names)
        databases = {
            alias: _connectable(database, server, whole=code is source)
            for alias, database in names["DATABASES"].items()
        }
        apps = [app for app in names.get("INSTALLED_APPS", []) if app is not ...]
        _set_up(databases, apps)
        _use(databases)
    else:
        _set_up({"default": {"ENGINE": "django_geventpool.backends.postgresql", **server}}, APPS)
        names = {**AROUND, "download": download, "make_report": make_report}
        result = eval(compile(code, "example", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
        if inspect.iscoroutine(result):
            asyncio.run(result)


def _is_a_module(source: str) -> bool:
    """Return whether a block is more than a few entries of a dictionary."""
    return not source.lstrip().startswith('"')


def _assigned(code: str) -> set[str]:
    return {
        target.id
        for statement in ast.parse(code).body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }


def _connectable(database: dict[str, Any], server: dict[str, Any], *, whole: bool) -> dict[str, Any]:
    """Return a database's settings with the test server's address; the example's own server is only an example."""
    if whole:
        assert database["ENGINE"].startswith("django_geventpool.backends.")
    elif not {"OPTIONS", "ENGINE"} & database.keys():
        database = {"OPTIONS": database}
    found = {"ENGINE": "django_geventpool.backends.postgresql", **database, **server}
    if "TEST" in database:
        assert database["TEST"]["MIRROR"] == "default"
    return found


def _set_up(databases: dict[str, Any], apps: list[str]) -> None:
    import django
    from django.conf import settings

    settings.configure(DATABASES=databases, INSTALLED_APPS=apps, USE_TZ=True)
    django.setup()


def _use(databases: dict[str, Any]) -> None:
    """Check the settings, which must be without fault, and query."""
    from django.db import connections

    from django_geventpool import pools
    from django_geventpool.checks import check_databases

    assert [message for message in check_databases() if message.id != "geventpool.I001"] == []
    for alias, database in databases.items():
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT 1")
            assert cursor.fetchone() == (1,)
        assert pools[alias].stats().limit == database["OPTIONS"].get("MAX_CONNS", 4)
