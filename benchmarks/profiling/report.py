"""The profiles as tables."""

from __future__ import annotations

from collections.abc import Sequence

from ..report import PLACE_TITLES
from .parts import OTHER, PARTS
from .run import Run


def as_markdown(runs: Sequence[Run], machine: str) -> str:
    """Return a table for each place: a line for each part, a column for each contender."""
    parts = [
        machine,
        "Microseconds of CPU a task, by the share of the samples. Garbage collections count where they happen.",
    ]
    for place, title in PLACE_TITLES.items():
        there = [run for run in runs if run.place == place]
        if there:
            parts += [f"## {title}: {there[0].workload.title}", _table(there)]
    return "\n\n".join(parts) + "\n"


def _table(runs: Sequence[Run]) -> str:
    titles = [*(part.title for part in PARTS), OTHER]
    seen = [title for title in titles if any(run.profile.samples[title] for run in runs)]
    rows = [[title, *(_cell(run, run.profile.share(title)) for run in runs)] for title in seen]
    head = ["part", *(run.contender.title for run in runs)]
    rows.append(["all", *(_cell(run, 1.0) for run in runs)])
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---", *["---:"] * len(runs)], *rows))


def _cell(run: Run, share: float) -> str:
    return f"{share * run.cpu_microseconds_per_task:,.0f} ({share:.0%})"
