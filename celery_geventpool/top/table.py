"""The table of ``celery geventpool top``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from django_geventpool.pool.counters import HistogramSnapshot
from django_geventpool.pool.stats import METRICS

from .. import fleets
from ..text import quantile, seconds
from . import samples
from .samples import Row, Sample

_WIDTH_OF_BAR = 10
_LEAST_FOR_BAR = 110
#: The columns, and the terminal width from which each is shown. A metric may have one column, a histogram two.
_COLUMNS = {
    "worker": 0,
    "pool": 0,
    "in use": 0,
    "idle": 100,
    "waiting": 0,
    "share": 120,
    "demand": 120,
    "wait p50": 0,
    "wait p95": 0,
    "timeouts": 0,
    "tasks": 0,
    "checkouts": 100,
    "longest holder": 140,
}
#: The columns of fleets, which are shown where there are any.
_OF_FLEETS = {"share", "demand"}
#: The columns that show counts per second. Timeouts are rare, and none should be missed: they are counted in all.
_RATES = {"tasks", *(metric.name.replace("_", " ") for metric in METRICS if metric.kind == "counter")} - {"timeouts"}


def draw(now: Iterable[Sample], before: Mapping[str, Sample] | None, asked: float, console: Console) -> Group:
    """Draw the pools of all workers, and below the table a line for each fleet.

    :param now: the last answer of each worker.
    :param before: the answers before those, by worker, for numbers of the time between; None for those in all.
    :param asked: when the workers were last asked (monotonic seconds).
    :param console: where the table will be shown.
    """
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", padding=(0, 1, 0, 0), expand=True)
    ordered = sorted(now, key=lambda sample: sample.worker)
    lines = _fleets(ordered)
    headings = [
        heading
        for heading, least in _COLUMNS.items()
        if console.width >= least and (lines or heading not in _OF_FLEETS)
    ]
    for heading in headings:
        if heading in ("worker", "pool"):
            table.add_column(heading, overflow="fold", min_width=12 if heading == "worker" else 7)
        elif heading == "in use":
            table.add_column(heading, no_wrap=True)
        elif heading == "longest holder":
            table.add_column(heading, no_wrap=True, overflow="ellipsis", ratio=1)
        else:
            is_rate = before is not None and heading in _RATES
            table.add_column(f"{heading}/s" if is_rate else heading, justify="right", no_wrap=True)
    for sample in ordered:
        earlier = None if before is None else before.get(sample.worker, sample)
        silence = asked - sample.when
        # A Text, because Rich reads markup in brackets out of strings.
        name = Text(f"{sample.worker}\nsilent for {silence:.0f} s" if silence else sample.worker)
        for cells in _rows(sample, earlier, console):
            table.add_row(name, *(cells.get(heading, "") for heading in headings[1:]), style="dim" if silence else "")
            name = Text()
    return Group(table, *lines)


def _fleets(ordered: Iterable[Sample]) -> list[Text]:
    """Return a line for each fleet, by the latest look of its pools: those that share a limit of the same owner."""
    latest: dict[tuple[str, ...], Mapping[str, Any]] = {}
    for sample in ordered:
        for pool in sample.answer.get("pools", ()):
            fleet = pool.get("fleet")
            key = (pool["alias"], fleet["scope"], fleet["owner"]) if fleet else (pool["alias"],)
            if fleets.describe(pool) and (key not in latest or (fleet and fleet["age"] < latest[key]["fleet"]["age"])):
                latest[key] = pool
    return [Text(f"fleet of {pool['alias']}: {fleets.describe(pool)}") for _, pool in sorted(latest.items())]


def _rows(sample: Sample, before: Sample | None, console: Console) -> Iterator[dict[str, str | Text]]:
    """Yield the rows of a worker, each a dictionary of cells by heading."""
    if sample.error is not None:
        yield {"pool": Text(f"can't answer: {sample.error}", "red")}
        return
    rows = list(samples.rows(sample, before))
    if not rows:
        yield {"pool": "no database with a pool"}
    several = len({row.pid for row in rows if row.pid is not None}) > 1
    for index, row in enumerate(rows):
        waiting, timeouts, holder = (row.numbers[name] for name in ("waiting", "timeouts", "longest_holder"))
        yield {
            **dict(_cells(row, before)),
            "pool": Text(f"{row.alias} in {row.pid}" if several and row.pid is not None else row.alias),
            "in use": _in_use(row.numbers["in_use"], row.numbers["limit"], waiting, console),
            "waiting": Text(str(waiting), "yellow" if waiting else ""),
            "timeouts": Text(str(timeouts), "red" if timeouts else ""),
            "share": str(row.numbers["fleet_share"]) if row.numbers.get("fleet") else "-",
            "demand": str(fleets.demand(row.numbers)) if row.numbers.get("fleet") else "-",
            "tasks": "" if index else _count(samples.tasks(sample, before), before),
            "longest holder": "" if holder is None else Text(f"{seconds(row.numbers['longest_held'])} {holder}"),
        }


def _cells(row: Row, before: Sample | None) -> Iterator[tuple[str, str]]:
    """Yield pairs of a heading and its cell, for each metric by its kind."""
    for metric in METRICS:
        heading, change = metric.name.replace("_", " "), row.changes.get(metric.name)
        if isinstance(change, HistogramSnapshot):
            what = heading.removesuffix(" time")
            for percent in (50, 95):
                yield f"{what} p{percent}", quantile(change.quantile(percent / 100)) if change.count else "-"
        else:
            yield heading, str(row.numbers.get(metric.name)) if metric.kind == "gauge" else _count(change, before)


def _in_use(in_use: int, limit: int, waiting: int, console: Console) -> Text:
    """Draw how much of the limit is in use; this can be over 100 % after the limit was lowered."""
    color = "green" if in_use < limit else "red" if waiting else "yellow"
    if console.width < _LEAST_FOR_BAR:
        return Text(f"{in_use}/{limit}", color)
    used = min(_WIDTH_OF_BAR, -(-in_use * _WIDTH_OF_BAR // limit))
    full, empty = "#." if console.options.ascii_only else "█░"
    bar = Text(full * used, color)
    bar.append(empty * (_WIDTH_OF_BAR - used), "dim")
    return bar.append(f" {in_use}/{limit}", "default")


def _count(count: float | None, before: Sample | None) -> str:
    if count is None:
        return "-"
    return f"{count:.0f}" if before is None or count >= 10 else f"{count:.1f}"
