"""The pool is as sound under tracers as without them."""

from __future__ import annotations

import pytest

from .conftest import MakeDatabase
from .tracing import CHOSEN, need, spans_of, start

pytestmark = pytest.mark.frameworks("gevent", "eventlet")


@pytest.mark.parametrize(("mode", "how"), [("session", "kill"), ("transaction", "timeout")])
@pytest.mark.parametrize("tracer", CHOSEN)
def test_interrupted_tasks_leave_the_pool_whole(make_database: MakeDatabase, tracer: str, how: str, mode: str) -> None:
    need(tracer)
    database = make_database(MAX_CONNS=4, POOL_MODE=mode, options="-c client_connection_check_interval=0")
    # A tracer that has traces for Celery's tasks only has none for the tests' tasks.
    spans_of(start("interrupt", database.settings, tracer, how))
    assert not database.running("pg_sleep(600)")
