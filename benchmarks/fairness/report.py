"""The results as a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from ..contenders import LIMIT
from ..growth.report import TITLES
from ..machine import Machine
from .options import FairnessOptions
from .summary import Fairness, ideal

_COLUMNS = (
    *("contender", "p50", "p99", "longest wait", "most behind its turn", "jobs failed", "jobs/s served"),
    "most connections",
)


def as_markdown(results: Sequence[Fairness], options: FairnessOptions, machine: Machine) -> str:
    """Return a table with a line for each contender."""
    best = ideal(options.jobs, options.rate, options.capacity)
    rows = [_row("in the order of arrival, at no cost", best), *(_row(TITLES[one.contender], one) for one in results)]
    lines = [_COLUMNS, ("---", *["---:"] * (len(_COLUMNS) - 1)), *rows]
    load = (
        f"{options.rate:,.0f} jobs a second for {options.seconds:g} s, each a query of "
        f"{options.query_seconds * 1000:.0f} ms: {options.rate / options.capacity:g} times what {LIMIT} connections "
        "can serve. Waits in seconds, from a job's arrival to the begin of its query on the server."
    )
    parts = [str(machine), load, "\n".join(f"| {' | '.join(line)} |" for line in lines)]
    reasons = [
        f"- {TITLES[one.contender]}: {', '.join(f'{count} x {reason}' for reason, count in one.failed.items())}"
        for one in results
        if one.failed
    ]
    if reasons:
        parts.append("\n".join(reasons))
    return "\n\n".join(parts) + "\n"


def _row(title: str, one: Fairness) -> tuple[str, ...]:
    return (
        title,
        *(_seconds(value) for value in (one.p50, one.p99, one.longest, one.behind_turn)),
        f"{sum(one.failed.values()):,}",
        "-" if one.per_second is None else f"{one.per_second:.0f}",
        str(one.peak or "-"),
    )


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def as_json(results: Sequence[Fairness], machine: Machine) -> str:
    """Return the machine and the figures."""
    return json.dumps({"machine": asdict(machine), "results": [asdict(one) for one in results]}, indent=1)
