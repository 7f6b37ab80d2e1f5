"""Starts programs with a tracer, in processes of their own."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
from typing import Any

import pytest

from tests.support.campaign import EVERY_STEP
from tests.support.drivers import DRIVER
from tests.support.programs import output_of, start_program
from tests.support.tasks import FRAMEWORK

#: The modules that each tracer needs.
TRACERS = {
    "opentelemetry": [f"opentelemetry.instrumentation.{DRIVER}"],
    "datadog": ["ddtrace"],
    "datadog_with_django": ["ddtrace"],
    "datadog_with_connects": ["ddtrace"],
    "sentry": ["sentry_sdk"],
    "elastic": ["elasticapm"],
    # It can't be switched on for psycopg if psycopg_pool is missing.
    "x_ray": ["aws_xray_sdk", *(["psycopg_pool"] if DRIVER == "psycopg" else [])],
    "new_relic": ["newrelic"],
    "plain_proxies": [],
    "cursor_factory_set_afterwards": [],
    "connection_class": [],
}
#: All tracers run under gevent. With the others, one of each kind shows that the framework makes no difference: one
#: that wraps connections, one that also wraps the functions that make them, one with classes of its own.
SAMPLE = ("opentelemetry", "datadog_with_connects", "connection_class")
CHOSEN = [tracer for tracer in TRACERS if EVERY_STEP or FRAMEWORK == "gevent" or tracer in SAMPLE]


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
    # The names of savepoints and cursors have the thread's number in them.
    return [re.sub(r"\d+", "N", span) for span in spans]
