"""A pytest plugin: a fixture that fails a test which leaves something in a session of the server.

pytest takes it from the outermost conftest.py of a project::

    pytest_plugins = ["django_geventpool.pytest_plugin"]

No entry point loads it: pytest would then import it before that file can monkey-patch the process, and for projects
without the engines, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import get_args

import pytest

from .drivers.session import traces
from .drivers.session.traces import Trace
from .pool.counters import StateKind

_MARKER = "leaves_session_state"


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker of tests that may leave something."""
    config.addinivalue_line(
        "markers", f"{_MARKER}(*kinds): may leave session state of these kinds, or of any (with no_session_state)"
    )


@pytest.fixture
def no_session_state(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail the test, at its teardown, if it has left something in a session of the server.

    What counts are statements on the pools' connections from here on, in all greenlets and threads, that have not been
    undone when the connection went back, or else by now. The failure says who has executed each, and where.
    """
    allowed = _allowed(request)
    with traces.recording() as recorder:
        yield
        left = [trace for trace in recorder.traces() if trace.kind not in allowed]
    if left:
        pytest.fail(_failure(left), pytrace=False)


def _allowed(request: pytest.FixtureRequest) -> Collection[str]:
    """Return the kinds of state that the test may leave.

    :raises pytest.UsageError: if its marker names a kind that there isn't.
    """
    kinds = get_args(StateKind)
    allowed: set[str] = set()
    for mark in request.node.iter_markers(_MARKER):
        if unknown := [kind for kind in mark.args if kind not in kinds]:
            raise pytest.UsageError(f"{_MARKER}: unknown kind {unknown[0]!r}; there are {', '.join(kinds)}")
        allowed.update(mark.args or kinds)
    return allowed


def _failure(left: list[Trace]) -> str:
    # Not at the top: it needs a driver, which a project whose tests use another engine may lack.
    from .backends.session_log import describe, ways_out

    lines = [f"  {describe(trace.kind)}, at {trace.place}, by {trace.who}" for trace in left]
    ways = [f"  {way}" for way in ways_out(dict.fromkeys(trace.kind for trace in left))]
    return "\n".join(
        [
            "The test has left something in the session of the server, and not undone it on the same connection:",
            *lines,
            'In POOL_MODE "transaction" later statements may run in other sessions, without it. Instead:',
            *ways,
        ]
    )
