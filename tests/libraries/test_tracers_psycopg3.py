"""psycopg 3 has two doors: the module's ``connect``, and that of the class, which psycopg's own pool calls."""

from __future__ import annotations

import pytest

from .conftest import MakeDatabase
from .tracing import spans_of, start

pytestmark = pytest.mark.driver("psycopg")


def test_a_tracer_of_pools_sees_queries(make_database: MakeDatabase, schema: None) -> None:
    assert len(spans_of(start("trace", make_database(MAX_CONNS=2).settings, "class_method"))) > 10
