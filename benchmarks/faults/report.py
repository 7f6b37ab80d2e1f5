"""The results as a page (Markdown), and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ..contenders import LIMIT
from ..machine import Machine
from .contenders import CONNECT_TIMEOUT, CONTENDERS, PATIENCE
from .findings import Finding, Result
from .scenario import Scenario
from .scenarios import SCENARIOS
from .stage import AFTERWARDS, HOLD_SECONDS

TITLES = {contender.name: contender.title for contender in CONTENDERS}

RIGHT, WRONG, NONE = "✓", "✗", ""

# What the columns of the first table are called, where a title is too long.
_SHORT = {
    "session": "ours, session",
    "transaction": "ours, transaction",
    "django": "Django, no pool",
    "django-pool": "Django's own pool",
    "pgbouncer": "PgBouncer",
}

_HIKARI = "https://github.com/brettwooldridge/HikariCP/wiki/Bad-Behavior:-Handling-Database-Down"

_HEAD = f"""# Faults, and what pools make of them

What breaks a pool: kills, connections that are cut, servers that are full or gone, forks. Each line below was measured
with real servers and processes, on this project's pool and on others that Django projects use. The models are
[HikariCP's page on a database that is down]({_HIKARI}) and PgBouncer's tests.

Each contender runs in a process and a virtual environment of its own. Another process looks on: at the sessions on the
server, at what becomes of the tasks, and through a proxy where the network is the fault. What is right stands with each
scenario, the same for all: {RIGHT} if everything is, {WRONG} if something isn't, and that is **bold**. No verdict is
written by hand: `python -m benchmarks faults` has made this page.

All have a limit of {LIMIT} connections if they know one, let a task wait for {PATIENCE} s if they know such a limit,
and have a `connect_timeout` of {CONNECT_TIMEOUT} s. Beyond that they are set up as their own documentation says:

- Django without a pool knows no limit, so where connections are counted, it can't be right.
- django-db-geventpool: `MAX_CONNS` and `REUSE_CONNS` {LIMIT}, Django's own pool off. It knows no limit of waiting.
- django-db-connection-pool: `POOL_SIZE` {LIMIT}, `MAX_OVERFLOW` 0; it asks the server before it lends a connection.
- Django's own pool and django-pg-real-pool: `min_size` and `max_size` {LIMIT}, and Django's `CONN_HEALTH_CHECKS`, by
  which they ask the server, too.
- PgBouncer, in transaction mode with a pool of {LIMIT}, stands beside the process, and faults are between it and the
  server. `query_wait_timeout` is {PATIENCE} s, `server_login_retry` its default of 15 s. Django has no pool there, and
  server-side cursors off.
- psycopg2 is made green by psycogreen where a contender doesn't do that itself. Celery closes Django's connections at
  the end of each task; greenlets without Celery do the same.

"{LIMIT} of {LIMIT} can be lent" says that soon after the fault as many tasks were in a transaction at the same time,
as the server saw; a pool has {HOLD_SECONDS:.0f} s to get there. "Failed afterwards" is of {AFTERWARDS} tasks at once
that follow. Seconds differ a little from run to run. To see a line for yourself (`tox -e bench -- faults ...` needs no
environment of yours):

    python -m benchmarks faults --scenario killed-queries --contenders session django-pool
"""


def as_markdown(results: Sequence[Result], machine: Machine, notes: Iterable[str]) -> str:
    """Return the page: an overview, then a table for each scenario."""
    by_scenario = group(results)
    parts = [_HEAD.strip(), "\n\n".join((str(machine), *notes)), "## Overview", _overview(by_scenario)]
    for name, found in by_scenario.items():
        parts += _section(SCENARIOS[name], found)
    return "\n\n".join(parts) + "\n"


def as_json(results: Sequence[Result], machine: Machine) -> str:
    """Return the machine and the results for a file."""
    entries = [result.as_json() for result in results]
    return json.dumps({"machine": asdict(machine), "results": entries}, indent=1, ensure_ascii=False)


def results_of(document: Mapping[str, Any]) -> list[Result]:
    """Return the results of such a file whose scenarios and contenders there are still."""
    results = map(Result.from_json, document["results"])
    return [result for result in results if result.scenario in SCENARIOS and result.contender in TITLES]


def merge(before: Iterable[Result], now: Iterable[Result]) -> list[Result]:
    """Return the results of both runs, the later of each scenario and contender, in the order of the lists."""
    found = {(result.scenario, result.contender): result for result in (*before, *now)}
    keys = ((scenario, contender) for scenario in SCENARIOS for contender in TITLES)
    return [found[key] for key in keys if key in found]


def group(results: Iterable[Result]) -> dict[str, dict[str, Result]]:
    """Return results by scenario and contender."""
    by_scenario: dict[str, dict[str, Result]] = {}
    for result in results:
        by_scenario.setdefault(result.scenario, {})[result.contender] = result
    return by_scenario


def mark(result: Result | None) -> str:
    """Return the mark of a result."""
    if result is None:
        return NONE
    return RIGHT if result.is_right else WRONG


def in_words(findings: Iterable[Finding], emphasis: str = "") -> str:
    """Return findings in a line, what isn't right between marks of emphasis."""
    return "; ".join(
        finding.text if finding.is_right else f"{emphasis}{finding.text}{emphasis}" for finding in findings
    )


def _overview(by_scenario: Mapping[str, Mapping[str, Result]]) -> str:
    contenders = [name for name in TITLES if any(name in found for found in by_scenario.values())]
    header = ["", *(_SHORT.get(name, name) for name in contenders)]
    rows = [header, ["---", *[":---:"] * len(contenders)]]
    for name, found in by_scenario.items():
        rows.append([f"[{SCENARIOS[name].title}](#{name})", *(mark(found.get(one)) for one in contenders)])
    totals = [sum(mark(found.get(one)) == RIGHT for found in by_scenario.values()) for one in contenders]
    rows.append([f"right, of {len(by_scenario)}", *map(str, totals)])
    return _table(rows)


def _section(scenario: Scenario, found: Mapping[str, Result]) -> list[str]:
    rows = [["contender", "", "what was found"], ["---", ":---:", "---"]]
    for contender, title in TITLES.items():
        if contender in found:
            result = found[contender]
            text = in_words(result.findings, "**").replace("|", "\\|")
            rows.append([title, mark(result), text])
    return [
        f"({scenario.name})=",
        f"## {scenario.title}",
        f"{scenario.what} Right: {scenario.right[0].lower()}{scenario.right[1:]}",
        _table(rows),
        f"    python -m benchmarks faults --scenario {scenario.name}",
    ]


def _table(rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
