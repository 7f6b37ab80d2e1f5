"""The results as tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from ..machine import Machine
from ..workloads import Place
from .contenders import CONTENDERS
from .summary import Growth, Point

_PLACES: dict[Place, str] = {
    "in process": "In one process",
    "worker": "In a worker: celery worker -P gevent -c N",
}
_REASON_CHARACTERS = 200

_PERSISTENT = "ten connections, never given back"
#: A task of the bound's has a greenlet of its own here, as all others' have.
TITLES = {
    **{contender.name: contender.title for contender in CONTENDERS},
    "persistent": _PERSISTENT,
    "persistent-greenlets": _PERSISTENT,
}


def as_markdown(growths: Sequence[Growth], machine: Machine, workload: str, rounds: int) -> str:
    """Return a table for each place, with a line for each contender."""
    sizes = sorted({size for growth in growths for size in growth.cpu})
    columns = (
        "contender",
        *(f"CPU of a task, {size:,} greenlets" for size in sizes),
        "highest / lowest",
        "without collections",
        "KiB of a waiting task",
        "its objects for the collector",
        "most connections",
        "errors",
    )
    what = (
        f"Tasks: {workload}. Ten connections; the least of rounds: {rounds}. CPU in microseconds, in brackets "
        "what of it was Python's garbage collection."
    )
    parts = [str(machine), what]
    for place, title in _PLACES.items():
        rows = [_row(growth, sizes) for growth in growths if growth.place == place]
        if rows:
            lines = [columns, ("---", *["---:"] * (len(columns) - 1)), *rows]
            parts += [f"## {title}", "\n".join(f"| {' | '.join(line)} |" for line in lines)]
    reasons = [
        f"- {TITLES[growth.contender]}, {growth.place}: {reason[:_REASON_CHARACTERS]}"
        for growth in growths
        for reason in growth.reasons
    ]
    if reasons:
        parts += ["## Errors", "\n".join(reasons)]
    return "\n\n".join(parts) + "\n"


def _row(growth: Growth, sizes: Iterable[int]) -> tuple[str, ...]:
    return (
        TITLES[growth.contender],
        *(_cost(growth, size) for size in sizes),
        *("-" if span is None else f"{span:.2f}" for span in (growth.span, growth.span_without_collections)),
        "-" if growth.waiter_bytes is None else f"{growth.waiter_bytes / 1024:.1f}",
        "-" if growth.waiter_objects is None else f"{growth.waiter_objects:.0f}",
        str(growth.peak),
        str(growth.errors),
    )


def _cost(growth: Growth, size: int) -> str:
    if size not in growth.cpu:
        return "-"
    return f"{growth.cpu[size] * 1e6:,.0f} ({growth.collecting[size] * 1e6:,.0f})"


def as_json(growths: Sequence[Growth], points: Sequence[Point], machine: Machine) -> str:
    """Return the machine, the medians and each measurement."""
    return json.dumps(
        {
            "machine": asdict(machine),
            "results": [asdict(growth) for growth in growths],
            "measurements": [asdict(point) for point in points],
        },
        indent=1,
    )
