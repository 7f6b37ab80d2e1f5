"""Which drivers are installed."""

from __future__ import annotations

import importlib.util


def is_psycopg3() -> bool:
    """Return whether Django uses psycopg 3, as it does wherever that is installed."""
    try:
        from django.db.backends.postgresql import psycopg_any
    except ImportError:
        return False  # There is no driver at all; the engine will say so.
    return bool(psycopg_any.is_psycopg3)


def has_psycopg2() -> bool:
    """Return whether psycopg2 is installed, used or not."""
    return importlib.util.find_spec("psycopg2") is not None
