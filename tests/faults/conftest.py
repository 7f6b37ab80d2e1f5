"""Fixtures of the tests that raise exceptions at every step, on a real server: those of the integration tests."""

from __future__ import annotations

from tests.integration.conftest import MODES, MakeDatabase, make_database, observer, rows, schema

__all__ = ["MODES", "MakeDatabase", "make_database", "observer", "rows", "schema"]
