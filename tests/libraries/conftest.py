"""Fixtures of the tests of other people's libraries, on a real server: those of the integration tests."""

from __future__ import annotations

from tests.integration.conftest import MODES, MakeDatabase, make_database, schema

__all__ = ["MODES", "MakeDatabase", "make_database", "schema"]
