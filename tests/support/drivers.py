"""The driver that Django uses; ``driver`` is its module."""

from __future__ import annotations

import os

from django.db.backends.postgresql import base

__all__ = ["DRIVER", "ENGINE", "READ_ONLY", "driver"]

driver = base.Database
DRIVER: str = driver.__name__
if os.environ.get("TEST_DRIVER", DRIVER) != DRIVER:
    raise RuntimeError(f"these tests are meant to run over {os.environ['TEST_DRIVER']}, but Django picked {DRIVER}")

ENGINE = "django_geventpool.backends." + {"psycopg2": "postgresql_psycopg2", "psycopg": "postgresql"}[DRIVER]
#: The name of the connection's attribute for read-only transactions.
READ_ONLY = {"psycopg2": "readonly", "psycopg": "read_only"}[DRIVER]
