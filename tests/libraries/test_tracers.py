"""Libraries that trace queries see on the pool what they see on Django's engine."""

from __future__ import annotations

import pytest

from .conftest import MakeDatabase
from .tracing import CHOSEN, need, spans_of, start

DJANGOS = "django.db.backends.postgresql"


@pytest.mark.parametrize("tracer", CHOSEN)
def test_a_tracer_sees_what_it_sees_on_djangos_engine(make_database: MakeDatabase, schema: None, tracer: str) -> None:
    need(tracer)
    database = make_database(MAX_CONNS=2)
    per_transaction = make_database(MAX_CONNS=2, POOL_MODE="transaction")
    djangos = make_database(MAX_CONNS=2, pool=False)
    processes = [
        start("trace", settings, tracer)
        for settings in (
            {**djangos.settings, "ENGINE": DJANGOS, "OPTIONS": {}},
            database.settings,
            per_transaction.settings,
        )
    ]
    expected, *ours = map(spans_of, processes)
    assert len(expected) > 10
    assert ours == [expected, expected]
