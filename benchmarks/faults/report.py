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

_HEAD = f"""# Faults, and what pools make of them

What breaks a pool: kills, dropped connections, servers that are full or gone, forks. Each line below was measured on
real servers and in real processes, on this project's pool and on others that Django projects use. The models are
[HikariCP's page on a database that is down](https://github.com/brettwooldridge/HikariCP/wiki/Bad-Behavior:-Handling-Database-Down)
and PgBouncer's tests.

Each contender runs in a process and a virtual environment of its own. Another process looks on: at the sessions on the server,
at what became of the tasks, and through a proxy where the network is the fault. A finding is right ({RIGHT}) or wrong ({WRONG})
by what the scenario says, for all alike; what is **bold** isn't right. No verdict is written by hand: the command
`python -m benchmarks faults` made this page.

All have a limit of {LIMIT} connections if they know one, let a task wait for {PATIENCE} s if they know such a limit, and have a
`connect_timeout` of {CONNECT_TIMEOUT} s; the rest is as their documentation advises. Pools on psycopg 3 have Django's
`CONN_HEALTH_CHECKS` on, and SQLAlchemy's under django-db-connection-pool pings, as it does by default. django-db-geventpool has
`MAX_CONNS` and `REUSE_CONNS` {LIMIT}. PgBouncer, in transaction mode with a pool of {LIMIT}, stands beside the tasks: the faults
are between it and the server. psycopg2 is made green by psycogreen where a contender doesn't do so itself. Django without
a pool knows no limit, so most lines about connections can't be right there.

"{LIMIT} of {LIMIT} can be lent" means that at the end as many tasks were inside a transaction at the same time, as the server saw.

Results of one machine and one run: seconds differ a little from run to run, and on a slow machine they are more. Where a
contender was changed since, ask for a new line:

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
