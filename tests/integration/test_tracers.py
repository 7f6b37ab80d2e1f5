"""Libraries that trace queries see on the pool what they see on Django's engine, and the pool is as sound with them."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
from typing import Any

import pytest

from tests.support.drivers import DRIVER
from tests.support.programs import output_of, start_program
from tests.support.tasks import FRAMEWORK

from .conftest import MakeDatabase

DJANGOS = "django.db.backends.postgresql"
#: By tracer, what must be installed for it.
TRACERS = {
    "opentelemetry": [f"opentelemetry.instrumentation.{DRIVER}"],
    "datadog": ["ddtrace"],
    "datadog_with_django": ["ddtrace"],
    "datadog_with_connects": ["ddtrace"],
    "sentry": ["sentry_sdk"],
    "elastic": ["elasticapm"],
    # Which can't be switched on for psycopg without its pool.
    "x_ray": ["aws_xray_sdk", *(["psycopg_pool"] if DRIVER == "psycopg" else [])],
    "plain_proxies": [],
    "cursor_factory_set_afterwards": [],
    "connection_class": [],
}


def need(tracer: str) -> None:
    for library in TRACERS[tracer]:
        try:
            is_there = importlib.util.find_spec(library) is not None
        except ModuleNotFoundError:
            is_there = False
        if not is_there:
            pytest.skip(f"{library} is not installed")


def start(function: str, settings: dict[str, Any], *arguments: str) -> subprocess.Popen[bytes]:
    return start_program(f"tests.support.traced:{function}", settings, *arguments)


def spans_of(process: subprocess.Popen[bytes]) -> list[str]:
    output = output_of(process)
    try:
        spans: list[str] = json.loads(output.splitlines()[-1])
    except (IndexError, json.JSONDecodeError):
        raise AssertionError(output) from None
    # Names of savepoints and cursors have the thread's number.
    return [re.sub(r"\d+", "N", span) for span in spans]


@pytest.mark.parametrize("tracer", TRACERS)
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


@pytest.mark.skipif(DRIVER == "psycopg2", reason="psycopg2 has one connect")
def test_a_tracer_of_pools_sees_queries(make_database: MakeDatabase, schema: None) -> None:
    assert len(spans_of(start("trace", make_database(MAX_CONNS=2).settings, "class_method"))) > 10


@pytest.mark.skipif(FRAMEWORK == "threads", reason="a thread can't be interrupted")
@pytest.mark.parametrize(("mode", "how"), [("session", "kill"), ("transaction", "timeout")])
@pytest.mark.parametrize("tracer", TRACERS)
def test_interrupted_tasks_leave_the_pool_whole(make_database: MakeDatabase, tracer: str, how: str, mode: str) -> None:
    need(tracer)
    database = make_database(MAX_CONNS=4, POOL_MODE=mode, options="-c client_connection_check_interval=0")
    # Where there is a trace for each task only, those of tests have none.
    spans_of(start("interrupt", database.settings, tracer, how))
    assert not database.running("pg_sleep(600)")
