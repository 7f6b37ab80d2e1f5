"""The worker's own work: whatever interrupts it, its connections go back and outcomes are stored."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from celery.utils.dispatch import Signal
from celery.worker import state
from django.db import connections

from celery_geventpool import outside_tasks, own_work, steps
from celery_geventpool.outcomes import Clerk
from django_geventpool.here import own
from django_geventpool.taken import connected
from tests.support.database import Database
from tests.support.errors_thrown import SoftLimit
from tests.support.lines import DELIVERIES, Delivery, LineFault
from tests.support.tasks import FRAMEWORK, Task, current_greenlet
from tests.support.waiting import DEADLINE, eventually

from .conftest import MakeDatabase


def query(database: Database) -> None:
    """Query, and leave the connection to the scope."""
    with connections[database.alias].cursor() as cursor:
        cursor.execute("select 1")


def work(database: Database) -> None:
    """Query in nested scopes, as receivers of signals in remote commands do."""
    own_work.begin_request()
    own_work.in_scope(query, is_own=False)(database)
    own_work.begin_request()
    query(database)


@pytest.mark.parametrize("delivery", ["line"] if FRAMEWORK == "eventlet" else DELIVERIES)
def test_an_exception_at_any_line_of_a_scope_leaves_nothing_of_it(
    make_database: MakeDatabase, delivery: Delivery
) -> None:
    database = make_database(MAX_CONNS=1)
    here = current_greenlet()
    at = 0
    kept = []
    while True:
        fault = LineFault(
            (Path(own_work.__file__),), at, delivery, SoftLimit(), is_meant=lambda: current_greenlet() is here
        )
        try:
            with fault.armed():
                own_work.in_scope(work, is_patient=True)(database)
        except SoftLimit:
            pass
        if own_work.begin_request() or own_work.limit_wait(3.0) != 3.0:
            kept.append((at, fault.where[-1:]))
        setattr(own(), own_work._SCOPE, None)  # noqa: SLF001  as at the start of the next task
        database.give_back()
        if at > 0 and not fault.has_fired:
            break
        at += 1
    assert at > 20
    assert not kept
    database.assert_whole()


def test_what_a_scope_took_that_could_not_be_left_is_given_back_at_the_next_request(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, other = make_database(MAX_CONNS=1), make_database(MAX_CONNS=1)
    release = own_work.release

    def interrupted(*_args: Any, **_options: Any) -> None:
        monkeypatch.setattr(own_work, "release", release)
        raise SoftLimit

    monkeypatch.setattr(own_work, "release", interrupted)
    with pytest.raises(SoftLimit):
        own_work.in_scope(query)(database)
    assert database.stats().in_use == 1
    own_work.in_scope(query)(other)
    assert database.stats().in_use == other.stats().in_use == 0


def test_who_hands_over_gets_the_error(clerk: Clerk) -> None:
    def fail() -> None:
        raise LookupError("a user's")

    with pytest.raises(LookupError, match="a user's"):
        clerk.do(fail, "not done")
    assert clerk.do(lambda: None, "not done")


def test_a_worker_that_ends_waits_for_its_clerk_as_long_as_tasks_run(
    clerk: Clerk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "PATIENCE", 0.1)
    told, task = threading.Event(), object()
    monkeypatch.setattr(state, "active_requests", {task})
    stuck = Task(clerk.do, lambda: told.wait(DEADLINE), "not done")
    eventually(lambda: clerk.pending(), "something to do")
    looks: list[float] = []
    wait = clerk.wait
    monkeypatch.setattr(clerk, "wait", lambda timeout: (looks.append(timeout), wait(timeout))[1])
    stop = Task(steps.OwnWork.stop, None, None)
    eventually(lambda: len(looks) > 3, "it to wait for longer than its patience")
    assert not stop.ended
    state.active_requests.clear()  # type: ignore[attr-defined]
    stop.result()
    assert clerk.pending() == ["not done"]
    monkeypatch.setattr(clerk, "wait", wait)
    told.set()
    stuck.result()


def test_names_of_arguments_are_the_callers_own(make_database: MakeDatabase) -> None:
    """The arguments of signals, callbacks and all else that runs in a scope may have any names."""
    database = make_database(MAX_CONNS=1)

    def call(**named: object) -> dict[str, object]:
        query(database)
        return named

    named = {"self": 1, "function": 2, "signal": 3}
    assert own_work.in_scope(call)(**named) == named
    signal = Signal(name="test")
    signal.connect(call, weak=False)
    send = outside_tasks._send(lambda _signal, /, **given: call(**given))  # noqa: SLF001  the wrapper of Signal.send
    assert send(signal, **named) == named
    assert not connected()
