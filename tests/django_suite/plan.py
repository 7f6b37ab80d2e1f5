"""What is run: which tests, with what."""

from __future__ import annotations

MODES = ("session", "transaction")
#: Stands in a mode's place for Django's own engine.
STOCK = "stock"

#: The parts of Django's suite that are about the database itself.
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
