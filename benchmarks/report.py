"""The results as text: tables for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import groupby

from rich.console import Console
from rich.table import Table

from .contenders import CONTENDERS, LIMIT, REFERENCES
from .machine import Machine
from .results import Measurement, Summary
from .workloads import CONCURRENCY, WORKLOADS, Place

TITLES = {contender.name: contender.title for contender in CONTENDERS}
WORKLOAD_TITLES = {workload.name: workload.title for workload in WORKLOADS}
PLACE_TITLES: dict[Place, str] = {
    "in process": f"In one process, {CONCURRENCY} greenlets at a time",
    "worker": f"celery worker -P gevent -c {CONCURRENCY}",
}

#: The workload that is most like tasks of Celery's: some queries, and something else between them.
HEADLINE = "get-wait-update"

Row = tuple[str, ...]

_COLUMNS = ("contender", "tasks/s", "CPU us/task", "most connections", "errors", "x transaction", "x bound")
_REASONS_SHOWN = 3
_REASON_CHARACTERS = 300


def order(summaries: Iterable[Summary]) -> list[Summary]:
    """Sort by place, workload and contender, each in the order of its list."""
    places, workloads, contenders = list(PLACE_TITLES), list(WORKLOAD_TITLES), list(TITLES)
    return sorted(
        summaries,
        key=lambda one: (places.index(one.place), workloads.index(one.workload), contenders.index(one.contender)),
    )


def headline(summaries: Iterable[Summary]) -> list[Summary]:
    """Return what the picture shows, the fastest first: one workload of workers, without bounds and other limits."""
    by_name = {contender.name: contender for contender in CONTENDERS}
    shown = [
        one
        for one in summaries
        if (one.place, one.workload) == ("worker", HEADLINE)
        and by_name[one.contender].family != "bound"
        and by_name[one.contender].limit in (LIMIT, None)
    ]
    return sorted(shown, key=lambda one: -(one.tasks_per_second or 0.0))


def as_markdown(summaries: Sequence[Summary], machine: Machine, notes: Sequence[str]) -> str:
    """Return a table for each place and workload, after the notes on all of them."""
    rounds = max((one.rounds for one in summaries), default=0)
    parts = [
        str(machine),
        f"Limit {LIMIT} where a contender takes one. Medians of {rounds} rounds, the highest peak, the sum of errors.",
        *notes,
    ]
    for title, rows in _groups(summaries):
        parts += [f"## {title}", _table(rows)]
    reasons = [line for summary in order(summaries) for line in _reasons(summary)]
    if reasons:
        parts += ["## Errors", "\n".join(reasons)]
    return "\n\n".join(parts) + "\n"


def as_json(
    summaries: Sequence[Summary], measurements: Sequence[Measurement], machine: Machine, notes: Sequence[str]
) -> str:
    """Return the machine, the notes, the medians and each measurement."""
    return json.dumps(
        {
            "machine": asdict(machine),
            "notes": list(notes),
            "results": [asdict(one) for one in order(summaries)],
            "measurements": [asdict(one) for one in measurements],
        },
        indent=1,
    )


def print_tables(summaries: Sequence[Summary], console: Console) -> None:
    """Print the tables to a terminal."""
    for title, rows in _groups(summaries):
        table = Table(title=title, title_justify="left", title_style="bold")
        table.add_column(_COLUMNS[0], no_wrap=True)
        for column in _COLUMNS[1:]:
            table.add_column(column, justify="right")
        for row in rows:
            table.add_row(*row)
        console.print(table)


def _groups(summaries: Sequence[Summary]) -> Iterator[tuple[str, list[Row]]]:
    for (place, workload), group in groupby(order(summaries), key=lambda one: (one.place, one.workload)):
        yield f"{PLACE_TITLES[place]}: {WORKLOAD_TITLES[workload]}", [_row(summary) for summary in group]


def _table(body: Sequence[Row]) -> str:
    rows = [_COLUMNS, ("---", *["---:"] * (len(_COLUMNS) - 1)), *body]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(summary: Summary) -> Row:
    ratios = (summary.ratios.get(reference) for reference in REFERENCES)
    return (
        TITLES[summary.contender],
        _number(summary.tasks_per_second, 0),
        _number(summary.cpu_microseconds_per_task, 0),
        str(summary.peak),
        str(summary.errors),
        *(_number(ratio, 2) for ratio in ratios),
    )


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _reasons(summary: Summary) -> list[str]:
    first = sorted(summary.reasons.items(), key=lambda item: -item[1])[:_REASONS_SHOWN]
    return [
        f"- {TITLES[summary.contender]}, {summary.place}, {WORKLOAD_TITLES[summary.workload]}: {count} x "
        f"{' '.join(reason.split())[:_REASON_CHARACTERS]}"
        for reason, count in first
    ]
