"""The use by task, as ``top`` shows it: of all workers together, since they started."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .. import by_task
from ..by_task import Use
from ..text import quantile, seconds
from .samples import Sample

#: The columns, and the terminal width from which each is shown.
_COLUMNS = {
    "task": 0,
    "pool": 80,
    "use": 0,
    "in use": 0,
    "waiting": 0,
    "no query": 0,
    "in tx": 0,
    "longest": 110,
    "checkouts": 100,
    "use p95": 100,
    "wait p95": 0,
    "timeouts": 80,
    "killed": 130,
    "pinned": 130,
}
#: The lines that a screen needs for other than tasks.
_OTHER_LINES = 5
#: From this share of its time in no query on, a task is marked while others wait.
_MUCH = 0.5


def draw(now: Iterable[Sample], console: Console) -> Table:
    """Draw the use by task: first those that have connections now, then those that held them for longest.

    :param now: the last answer of each worker.
    :param console: where the table will be shown; on a terminal, it has as many tasks as there is room for.
    """
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", padding=(0, 1, 0, 0), expand=True)
    headings = [heading for heading, least in _COLUMNS.items() if console.width >= least]
    for heading in headings:
        is_name = heading == "task"
        table.add_column(
            heading,
            justify="left" if heading in ("task", "pool") else "right",
            overflow="fold" if is_name else "ellipsis",
            no_wrap=not is_name,
            ratio=1 if is_name else None,
        )
    rows = list(_rows(now))
    if console.is_terminal:
        rows = rows[: max(1, console.height - _OTHER_LINES)]
    for row in rows:
        table.add_row(*(row[heading] for heading in headings))
    return table


def _rows(now: Iterable[Sample]) -> Iterator[dict[str, Text]]:
    pools = [pool for sample in now for pool in sample.answer.get("pools", ())]
    for alias, uses in by_task.merged(pools).items():
        total = sum(use["held"] for use in uses)
        is_wanted = any(pool["waiting"] for pool in pools if pool["alias"] == alias)
        for use in sorted(filter(by_task.is_used, uses), key=lambda use: -use["in_use"]):
            yield _cells(alias, use, total, is_wanted)


def _cells(alias: str, use: Use, total: float, is_wanted: bool) -> dict[str, Text]:
    shares = by_task.shares(use)
    style = "yellow" if is_wanted and use["in_use"] and shares is not None and shares[0] >= _MUCH else ""
    cells = {
        "task": by_task.shown(use["task"]),
        "pool": alias,
        "use": f"{use['held'] / total:.0%}" if total else "-",
        "in use": str(use["in_use"]),
        "waiting": str(use["waiting"]),
        "no query": "-" if shares is None else f"{shares[0]:.0%}",
        "in tx": "-" if shares is None else f"{shares[1]:.0%}",
        "longest": seconds(use["longest_held"]) if use["in_use"] else "-",
        "checkouts": str(use["checkouts"]),
        "use p95": quantile(use["use_time"]["p95"]) if use["use_time"]["count"] else "-",
        "wait p95": quantile(use["wait_time"]["p95"]) if use["wait_time"]["count"] else "-",
        **{name: str(use[name]) for name in ("timeouts", "killed", "pinned")},
    }
    # As Texts, because Rich reads markup in brackets out of strings.
    return {heading: Text(text, style) for heading, text in cells.items()}
