"""The tests of a driver are for where it is installed."""

from __future__ import annotations

import importlib.util

collect_ignore_glob = [
    pattern
    for driver, pattern in (("psycopg2", "test_*_psycopg2.py"), ("psycopg", "test_*_psycopg3.py"))
    if importlib.util.find_spec(driver) is None
]
