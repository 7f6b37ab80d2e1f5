"""Django system checks of the databases that use the pool's engines."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from . import engines, green, options, passwords
from .errors import InvalidOption
from .options import foreign
from .server_checks import check_server
from .session_checks import check_session_apps

_PACKAGE = __name__.partition(".")[0]


def pooled_databases() -> dict[str, dict[str, Any]]:
    """Return the settings of the databases that use one of the pool's engines, or one derived from them, by alias."""
    return {alias: database for alias, database in settings.DATABASES.items() if engines.is_pooled(_engine(database))}


def _engine(database: dict[str, Any]) -> str:
    return str(database.get("ENGINE", ""))


def check_databases(**_kwargs: Any) -> Sequence[checks.CheckMessage]:
    """Check the settings of each database that uses the pool."""
    return [message for alias, database in pooled_databases().items() for message in _check_database(alias, database)]


def _check_database(alias: str, database: dict[str, Any]) -> Iterator[checks.CheckMessage]:
    yield from _check_options(alias, database)
    try:
        passwords.check(alias, database)
    except ImproperlyConfigured as error:
        yield checks.Error(str(error), hint="See docs/passwords.md of celery-geventpool.", id="geventpool.E002")
    if database.get("CONN_MAX_AGE", 0) != 0:
        yield checks.Warning(
            f'DATABASES["{alias}"]["CONN_MAX_AGE"] is not 0: each greenlet and thread keeps its connection '
            "after the end of a request, and others wait for it.",
            hint="Remove CONN_MAX_AGE: the pool keeps connections open (see CONN_IDLE_TIMEOUT).",
            id="geventpool.W001",
        )
    if database["ENGINE"] == f"{_PACKAGE}.backends.postgresql_psycopg2" and _is_psycopg3():
        yield _check_driver(alias, both_installed=_has_psycopg2())


def _check_options(alias: str, database: dict[str, Any]) -> Iterator[checks.CheckMessage]:
    try:
        options.split(database.get("OPTIONS", {}))
    except InvalidOption as error:
        yield checks.Error(
            f'DATABASES["{alias}"]["OPTIONS"]: {error}',
            hint="The options and their defaults are listed in the README of celery-geventpool.",
            id="geventpool.E001",
        )
    for stray in foreign.find(database):
        yield checks.Warning(
            f'DATABASES["{alias}"]{stray.place} {stray.fate}.',
            hint=f"{stray.advice[0].upper()}{stray.advice[1:]}",
            id="geventpool.W012",
        )


def _is_psycopg3() -> bool:
    try:
        from django.db.backends.postgresql.psycopg_any import is_psycopg3
    except ImportError:
        return False  # No driver at all, as the engine will say.
    return bool(is_psycopg3)


def _has_psycopg2() -> bool:
    return importlib.util.find_spec("psycopg2") is not None


def _check_driver(alias: str, *, both_installed: bool) -> checks.CheckMessage:
    """Say that the engine named after psycopg2 uses psycopg 3."""
    engine = f'DATABASES["{alias}"]["ENGINE"] is {_PACKAGE}.backends.postgresql_psycopg2'
    if both_installed:
        return checks.Warning(
            f"{engine}, and psycopg2 is installed, but so is psycopg 3, which Django prefers and which is used.",
            hint=f'Uninstall psycopg to use psycopg2, or set ENGINE to "{_PACKAGE}.backends.postgresql".',
            id="geventpool.W002",
        )
    return checks.Info(
        f"{engine}, but it is psycopg 3 that is installed and used.",
        hint=f'Set ENGINE to "{_PACKAGE}.backends.postgresql", which says nothing about the driver.',
        id="geventpool.I001",
    )


def check_servers(databases: Sequence[str] | None = None, **_kwargs: Any) -> Sequence[checks.CheckMessage]:
    """Check the servers of the databases that ``manage.py check --database`` names, unless their settings are wrong."""
    pooled = pooled_databases() if databases else {}
    return [
        message
        for alias in databases or ()
        if alias in pooled and not any(found.is_serious() for found in _check_database(alias, pooled[alias]))
        for message in check_server(alias)
    ]


def check_green(**_kwargs: Any) -> Sequence[checks.CheckMessage]:
    """Check that psycopg2 is green where the process is: the pool's engines see to it only when they first connect."""
    framework = green.active()
    if framework == "threads" or _is_psycopg3() or not _has_psycopg2() or _is_psycopg2_green():
        return []
    others = [
        alias
        for alias, database in settings.DATABASES.items()
        if engines.is_postgresql(_engine(database)) and not engines.is_pooled(_engine(database))
    ]
    if not others:
        return []
    return [
        checks.Warning(
            f"{framework} has patched this process, but psycopg2 is not green: a query of "
            f'DATABASES["{others[0]}"], whose engine doesn\'t make it so, blocks all greenlets.',
            hint="Call django_geventpool.patch_psycopg() where the process is patched.",
            id="geventpool.W008",
        )
    ]


def _is_psycopg2_green() -> bool:
    from psycopg2 import extensions

    return extensions.get_wait_callback() is not None


def check_celery(**_kwargs: Any) -> Sequence[checks.CheckMessage]:
    """Check that a project with a Celery app has the worker side too."""
    celery = sys.modules.get("celery._state")  # The backend itself works without Celery, and doesn't import it.
    if celery is None or not celery._get_active_apps() or not pooled_databases():  # noqa: SLF001
        return []
    if "celery_geventpool.signals" in sys.modules:
        return []
    return [
        checks.Warning(
            "The project has a Celery app, and databases with a pool, but not the app celery_geventpool: its workers "
            "don't name the tasks that hold connections, start in spite of wrong options, have no --pool-metrics-port, "
            "don't show the pools of prefork's child processes, and keep the connections that they use outside of "
            "tasks (for results of revoked tasks, in remote commands).",
            hint='Add "celery_geventpool" to INSTALLED_APPS, or call celery_geventpool.install(app) in the module '
            "that makes the Celery app.",
            id="geventpool.W003",
        )
    ]


def register() -> None:
    """Have Django run the checks, in ``manage.py check`` and the like; calling it more than once changes nothing."""
    checks.register(check_databases)
    checks.register(check_green)
    checks.register(check_celery)
    checks.register(check_session_apps)
    checks.register(check_servers, checks.Tags.database)
