"""Greenlets that are killed while they hold a connection, and never give it back."""

from __future__ import annotations

import threading
import time

import greenlet
import pytest

from tests.support.tasks import Interruption, Task, is_interruption
from tests.support.waiting import eventually

from .conftest import MakeDatabase

pytestmark = pytest.mark.frameworks("gevent", "eventlet")


@pytest.mark.parametrize("how", ["kill", "timeout"])
def test_a_connection_is_reclaimed_when_its_holder_is_killed(
    make_database: MakeDatabase, caplog: pytest.LogCaptureFixture, how: Interruption
) -> None:
    database = make_database(MAX_CONNS=1)
    holding = threading.Event()

    def hold() -> None:
        database.fetch("select 1")
        holding.set()
        time.sleep(600)

    victim = Task(hold)
    assert holding.wait(30)
    victim.interrupt(how)
    victim.wait()
    assert is_interruption(victim.error)
    assert database.answer("select 7") == [(7,)]
    eventually(lambda: "ended without giving its connection back" in caplog.text, "a warning")
    database.assert_whole()


def test_a_raw_greenlet_that_ends_holding_is_found(make_database: MakeDatabase) -> None:
    database = make_database(MAX_CONNS=1)
    kept = greenlet.greenlet(lambda: database.fetch("select 1"))
    _switch_from_hub(kept)
    eventually(lambda: kept.dead, "its end")
    assert database.answer("select 7") == [(7,)]
    database.assert_whole()


def _switch_from_hub(raw: object) -> None:
    """Start a greenlet that the framework doesn't know, as a child of the hub."""
    from tests.support.tasks import FRAMEWORK

    if FRAMEWORK == "gevent":
        import gevent

        hub = gevent.get_hub()
        raw.parent = hub  # type: ignore[attr-defined]
        hub.loop.run_callback(raw.switch)  # type: ignore[attr-defined]
    else:
        from eventlet import hubs

        hub = hubs.get_hub()
        raw.parent = hub.greenlet  # type: ignore[attr-defined]
        hub.schedule_call_global(0, raw.switch)  # type: ignore[attr-defined]
