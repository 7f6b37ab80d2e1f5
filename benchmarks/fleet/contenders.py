"""The ways in which a fleet can share a limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Mode = Literal["session", "transaction"]
Driver = Literal["psycopg2", "psycopg"]

#: How long a task may wait for a connection (seconds).
CONN_WAIT_TIMEOUT = 30

#: How long a connect may take (seconds), as a network that loses packets may never answer.
CONNECT_TIMEOUT = 5

_ENGINES: dict[Driver, str] = {
    "psycopg2": "django_geventpool.backends.postgresql_psycopg2",
    "psycopg": "django_geventpool.backends.postgresql",
}


@dataclass(frozen=True)
class Contender:
    """One of them."""

    name: str
    title: str
    #: Ours, in this mode; None is Django without a pool, with PgBouncer between it and the server.
    mode: Mode | None

    def database(self, driver: Driver, max_conns: int) -> dict[str, Any]:
        """Return what a worker's DATABASES["default"] has beside the address."""
        if self.mode is None:
            # Its connections to PgBouncer stay open, which costs the least.
            return {
                "ENGINE": "django.db.backends.postgresql",
                "CONN_MAX_AGE": None,
                "DISABLE_SERVER_SIDE_CURSORS": True,
                "OPTIONS": {"connect_timeout": CONNECT_TIMEOUT},
            }
        options = {"MAX_CONNS": max_conns, "CONN_WAIT_TIMEOUT": CONN_WAIT_TIMEOUT, "POOL_MODE": self.mode}
        return {"ENGINE": _ENGINES[driver], "OPTIONS": {**options, "connect_timeout": CONNECT_TIMEOUT}}


PGBOUNCER = "pgbouncer"

CONTENDERS = (
    Contender("session", "celery-geventpool, session", "session"),
    Contender("transaction", "celery-geventpool, transaction", "transaction"),
    Contender(PGBOUNCER, "PgBouncer (transaction), Django", None),
)
