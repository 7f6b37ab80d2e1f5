"""The contenders: ways to give greenlets database connections."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from .workloads import Place

#: The limit of connections, for contenders that know a limit.
LIMIT = 10

#: How long a task may wait for a connection (seconds): so long that no task should fail.
_PATIENCE = 60

_PSYCOPG2 = ("psycopg2-binary", "psycogreen")
_PSYCOPG3 = ("psycopg[binary,pool]",)

Family = Literal["ours", "peer", "bound"]


@dataclass(frozen=True)
class Contender:
    """One of them."""

    name: str
    title: str
    family: Family
    engine: str
    #: The driver and packages that go into its environment.
    requirements: tuple[str, ...] = _PSYCOPG2
    #: The connections that it may have; None if it knows no limit.
    limit: int | None = LIMIT
    #: Entries of DATABASES["default"].
    database: dict[str, Any] = field(default_factory=dict)
    apps: tuple[str, ...] = ()
    #: Whether psycopg2 has to be made green for it, as its users do.
    needs_psycogreen: bool = False
    #: Whether connections are never given back: each stays with its greenlet or, in the worker, its wrapper.
    is_persistent: bool = False
    #: Whether each task has a greenlet of its own, although connections are never given back.
    has_greenlet_per_task: bool = False
    #: Whether its tasks do nothing but switch to gevent's hub once, as many at a time as it may have connections.
    only_switches: bool = False
    #: The places where it is measured.
    places: tuple[Place, ...] = ("in process", "worker")
    #: Whether PgBouncer stands between it and the server.
    through_pgbouncer: bool = False


_DJANGO = "django.db.backends.postgresql"
_OURS = "django_geventpool.backends.postgresql_psycopg2"


def _ours(name: str, title: str, mode: str, limit: int = LIMIT) -> Contender:
    return Contender(
        name,
        title,
        "ours",
        _OURS,
        limit=limit,
        database={"OPTIONS": {"MAX_CONNS": limit, "CONN_WAIT_TIMEOUT": _PATIENCE, "POOL_MODE": mode}},
        apps=("celery_geventpool",),
    )


CONTENDERS = (
    Contender(
        "persistent",
        f"bound: {LIMIT} connections, never given back",
        "bound",
        _DJANGO,
        needs_psycogreen=True,
        is_persistent=True,
    ),
    Contender(
        "persistent-greenlets",
        "bound: the same, a new greenlet for each task",
        "bound",
        _DJANGO,
        needs_psycogreen=True,
        is_persistent=True,
        has_greenlet_per_task=True,
        places=("in process",),
    ),
    Contender(
        "persistent-100",
        "bound: 100 connections, never given back",
        "bound",
        _DJANGO,
        limit=100,
        needs_psycogreen=True,
        is_persistent=True,
    ),
    _ours("session", "celery-geventpool, session", "session"),
    _ours("transaction", "celery-geventpool, transaction", "transaction"),
    _ours("transaction-100", "celery-geventpool, transaction, 100", "transaction", 100),
    Contender("django", "Django, a connection per greenlet", "peer", _DJANGO, limit=None, needs_psycogreen=True),
    Contender(
        "django-db-geventpool",
        "django-db-geventpool",
        "peer",
        "django_db_geventpool.backends.postgresql_psycopg2",
        requirements=(*_PSYCOPG2, "django-db-geventpool"),
        database={"OPTIONS": {"MAX_CONNS": LIMIT, "REUSE_CONNS": LIMIT}},
        needs_psycogreen=True,
    ),
    Contender(
        "django-db-connection-pool",
        "django-db-connection-pool",
        "peer",
        "dj_db_conn_pool.backends.postgresql",
        requirements=(*_PSYCOPG2, "django-db-connection-pool"),
        database={"POOL_OPTIONS": {"POOL_SIZE": LIMIT, "MAX_OVERFLOW": 0, "TIMEOUT": _PATIENCE}},
        needs_psycogreen=True,
    ),
    Contender(
        "django-pool",
        "Django's own pool, psycopg 3",
        "peer",
        _DJANGO,
        requirements=_PSYCOPG3,
        database={"OPTIONS": {"pool": {"min_size": LIMIT, "max_size": LIMIT, "timeout": _PATIENCE}}},
    ),
    Contender(
        "django-pg-real-pool",
        "django-pg-real-pool, psycopg 3",
        "peer",
        "django_pg_real_pool",
        requirements=(*_PSYCOPG3, "django-pg-real-pool"),
        database={"OPTIONS": {"pool": {"min_size": LIMIT, "max_size": LIMIT, "timeout": _PATIENCE}}},
    ),
    Contender(
        "pgbouncer",
        "PgBouncer (transaction), Django",
        "peer",
        _DJANGO,
        database={"DISABLE_SERVER_SIDE_CURSORS": True},
        needs_psycogreen=True,
        through_pgbouncer=True,
    ),
)

#: The contenders that others are divided by.
REFERENCES = ("transaction", "persistent")
