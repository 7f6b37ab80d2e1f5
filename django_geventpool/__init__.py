"""A Django database engine for PostgreSQL whose connections come from a bounded, greenlet-aware pool."""

from .drivers import patch_psycopg
from .registry import pools

__all__ = ["patch_psycopg", "pools"]
