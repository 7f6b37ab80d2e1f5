"""The plan: which tests run with which modes."""

from __future__ import annotations

MODES = ("session", "transaction")
#: Django's own engine, in place of a mode.
STOCK = "stock"

#: The parts of Django's suite that test the database itself.
DATABASE_LABELS = (
    "backends",
    "db_utils",
    "postgres_tests",
    "queries",
    "select_for_update",
    "servers",
    "test_utils",
    "transaction_hooks",
    "transactions",
)
