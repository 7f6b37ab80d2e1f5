"""Networks and servers that take everything and never answer."""

from __future__ import annotations

from collections.abc import Iterator

from ...contenders import LIMIT
from ..contenders import CONNECT_TIMEOUT, PATIENCE
from ..findings import Finding, database_errors, failed, longest, within
from ..names import TIMEOUT
from ..recovery import BACK_SECONDS
from ..scenario import Scenario, Setting
from ..stage import Stage

_TIME_LIMIT = 2.0
_MARGIN = 1.0
#: How long what hangs is waited for (seconds).
_WAIT = 12.0
_CPU_SECONDS = 2.0
_CPU_PART = 0.2
_LOOK_UPS = 3
#: For how long no greenlet of the process may go on (seconds).
_STANDSTILL = 0.5


def _strand_connections(stage: Stage) -> Iterator[Finding]:
    assert stage.network is not None
    stage.warm_up()
    stage.network.strand()
    tasks = stage.run("limited", [{"limit": _TIME_LIMIT}] * LIMIT, _WAIT)
    yield Finding(f"{sum(task.has_failed for task in tasks)} of {LIMIT} met their time limit")
    yield within(longest(tasks), _TIME_LIMIT + _MARGIN, "ended", watched=_WAIT)
    yield from stage.look_afterwards(counts_connections=False)


def _silence_server(stage: Stage) -> Iterator[Finding]:
    assert stage.network is not None
    stage.network.freeze()
    tasks = stage.run("query", [{}] * LIMIT, _WAIT)
    yield within(longest(tasks), CONNECT_TIMEOUT + PATIENCE + _MARGIN, "errors", watched=_WAIT)
    yield from database_errors(tasks)
    part = stage.cpu_part(_CPU_SECONDS)
    yield Finding(f"{part:.0%} of a CPU meanwhile", part <= _CPU_PART)
    stage.network.thaw()
    yield within(stage.seconds_to_success(_WAIT), BACK_SECONDS, "back", watched=_WAIT)
    yield from stage.look_afterwards(counts_connections=False)


def _pass_dead_host(stage: Stage) -> Iterator[Finding]:
    tasks = stage.run("query", [{}] * LIMIT, _WAIT)
    yield failed(tasks)
    yield within(longest(tasks), CONNECT_TIMEOUT + _MARGIN, "ended", watched=_WAIT)
    yield from stage.look_afterwards(counts_connections=False)


def _silence_names(stage: Stage) -> Iterator[Finding]:
    stage.subject.ask("watch")
    tasks = stage.run("query", [{}] * _LOOK_UPS, _WAIT)
    still = float(stage.subject.ask("standstill"))
    yield Finding(f"other greenlets stand still for {still:.1f} s", still <= _STANDSTILL)
    yield within(longest(tasks), TIMEOUT + PATIENCE + _MARGIN, "errors", watched=_WAIT)
    yield from database_errors(tasks)


SCENARIOS = (
    Scenario(
        "stale",
        "The network has forgotten the idle connections",
        f"A proxy passes nothing on for the {LIMIT} idle connections any more, without a word to either side; new ones "
        f"work. {LIMIT} greenlets run a query each, with a time limit of {_TIME_LIMIT:.0f} s (`gevent.Timeout`).",
        "Nobody can know of it without asking the server, so tasks may meet their time limit, but all end with it. "
        "Afterwards all connections can be lent, and no task fails.",
        _strand_connections,
        Setting(has_network=True),
    ),
    Scenario(
        "silent-server",
        "The server takes connections, and never answers",
        f"From the start, nothing that comes from the server passes the proxy. {LIMIT} greenlets run a query each. "
        "Then "
        "as for a server that is down.",
        f"Each has an error of `django.db`'s within {CONNECT_TIMEOUT + PATIENCE + _MARGIN:.0f} s (`connect_timeout` "
        f"{CONNECT_TIMEOUT} s, {PATIENCE} s of waiting, and a margin); otherwise as for a server that is down.",
        _silence_server,
        Setting(has_network=True),
    ),
    Scenario(
        "dead-first-host",
        "The first of two hosts never answers",
        f"`HOST` has two addresses, of which the first takes connections and never answers. {LIMIT} greenlets run a "
        "query "
        "each.",
        f"None fails, and all have ended within {CONNECT_TIMEOUT + _MARGIN:.0f} s: one `connect_timeout`, and a "
        "margin. "
        "Afterwards all connections can be lent.",
        _pass_dead_host,
        Setting(has_dead_host=True),
    ),
    Scenario(
        "silent-name-server",
        "The name server never answers",
        f"`HOST` is a name, and the name server that the process asks never answers. {_LOOK_UPS} greenlets run a query "
        "each, while another one only watches the clock.",
        f"That one never stands still for more than {_STANDSTILL} s. Each of the others has an error of `django.db`'s "
        f"within {TIMEOUT + PATIENCE + _MARGIN:.0f} s.",
        _silence_names,
        Setting(has_silent_names=True),
    ),
)
