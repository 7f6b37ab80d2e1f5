"""The contenders of the benchmarks, set up for trouble: as their own documentation says, with a short patience."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..contenders import CONTENDERS as MEASURED
from ..contenders import LIMIT, Contender

#: How long a task may wait for a connection (seconds), where a contender knows such a limit.
PATIENCE = 5

#: How long a connect may take (seconds).
CONNECT_TIMEOUT = 3

#: Results of Celery's tasks go to the database in one scenario.
_REQUIREMENTS = ("django-celery-results",)

_NAMES = (
    *("session", "transaction", "django", "django-db-geventpool", "django-db-connection-pool"),
    *("django-pool", "django-pg-real-pool", "pgbouncer"),
)

# What differs from the benchmarks. Pools of psycopg 3 check a connection before they lend it if Django's
# CONN_HEALTH_CHECKS is on, which its documentation advises where connections outlive a request.
_POOL: dict[str, Any] = {"min_size": LIMIT, "max_size": LIMIT, "timeout": PATIENCE}
_CHANGES: dict[str, dict[str, Any]] = {
    "session": {"OPTIONS": {"CONN_WAIT_TIMEOUT": PATIENCE}},
    "transaction": {"OPTIONS": {"CONN_WAIT_TIMEOUT": PATIENCE}},
    # Its documentation asks for this from Django 5.1 on.
    "django-db-geventpool": {"OPTIONS": {"pool": False}},
    "django-db-connection-pool": {"POOL_OPTIONS": {"TIMEOUT": PATIENCE}},
    "django-pool": {"CONN_HEALTH_CHECKS": True, "OPTIONS": {"pool": _POOL}},
    "django-pg-real-pool": {"CONN_HEALTH_CHECKS": True, "OPTIONS": {"pool": _POOL}},
}

#: What PgBouncer is given beside its pool's size, so that its patience is that of the others.
PGBOUNCER_SETTINGS = {"query_wait_timeout": PATIENCE, "server_connect_timeout": CONNECT_TIMEOUT}


def _set_up(contender: Contender) -> Contender:
    database = {**contender.database, **_CHANGES.get(contender.name, {})}
    for name in ("OPTIONS", "POOL_OPTIONS"):
        if name in contender.database or name == "OPTIONS":
            changes = _CHANGES.get(contender.name, {}).get(name, {})
            database[name] = {**contender.database.get(name, {}), **changes}
    database["OPTIONS"]["connect_timeout"] = CONNECT_TIMEOUT
    return replace(contender, database=database, requirements=(*contender.requirements, *_REQUIREMENTS))


CONTENDERS = tuple(_set_up(contender) for name in _NAMES for contender in MEASURED if contender.name == name)
