"""Checks of the settings of each database that uses the pool; nothing connects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Info
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured

from .. import engines, options, passwords
from ..errors import InvalidOption
from ..options import foreign
from . import ids, installed
from .documentation import explained


@explained
def check_databases(**_kwargs: Any) -> Sequence[CheckMessage]:
    """Check the settings of each database that uses the pool."""
    pooled = engines.pooled_databases()
    return [message for alias, database in pooled.items() for message in check_database(alias, database)]


def check_database(alias: str, database: dict[str, Any]) -> Iterator[CheckMessage]:
    """Check the settings of one database."""
    yield from _check_options(alias, database)
    try:
        passwords.check(alias, database)
    except ImproperlyConfigured as error:
        hint = "It is called for each new connection, and has to find all it needs by itself."
        yield Error(str(error), hint=hint, id=ids.PASSWORD_NEEDS_ARGUMENTS)
    if database.get("CONN_MAX_AGE", 0) != 0:
        yield CheckWarning(
            f'DATABASES["{alias}"]["CONN_MAX_AGE"] is not 0: each greenlet and thread keeps its connection '
            "after the end of a request, and others wait for it.",
            hint="Remove CONN_MAX_AGE: the pool keeps connections open (see CONN_IDLE_TIMEOUT).",
            id=ids.CONN_MAX_AGE,
        )
    yield from _check_driver(alias, engines.engine_of(database))


def _check_options(alias: str, database: dict[str, Any]) -> Iterator[CheckMessage]:
    try:
        options.split(database.get("OPTIONS", {}))
    except InvalidOption as error:
        yield Error(
            f'DATABASES["{alias}"]["OPTIONS"]: {error}',
            hint="Remove or mend it.",
            id=ids.WRONG_OPTIONS,
        )
    for stray in foreign.find(database):
        yield CheckWarning(
            f'DATABASES["{alias}"]{stray.place} {stray.fate}.',
            hint=f"{stray.advice[0].upper()}{stray.advice[1:]}",
            id=ids.STRAY_OPTION,
        )


def _check_driver(alias: str, engine: str) -> Iterator[CheckMessage]:
    """Warn if the engine named after psycopg2 uses psycopg 3."""
    if engine != f"{engines.OWN}postgresql_psycopg2" or not installed.is_psycopg3():
        return
    text = f'DATABASES["{alias}"]["ENGINE"] is {engine}'
    if installed.has_psycopg2():
        yield CheckWarning(
            f"{text}, and psycopg2 is installed, but so is psycopg 3, which Django prefers and which is used.",
            hint=f'Uninstall psycopg to use psycopg2, or set ENGINE to "{engines.OWN}postgresql".',
            id=ids.BOTH_DRIVERS,
        )
        return
    yield Info(
        f"{text}, but it is psycopg 3 that is installed and used.",
        hint=f'Set ENGINE to "{engines.OWN}postgresql", which says nothing about the driver.',
        id=ids.OTHER_DRIVER,
    )
