"""The results as a picture that a reader understands in five seconds: one workload, a bar for each contender."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .contenders import CONTENDERS, LIMIT, Family
from .machine import Machine
from .report import HEADLINE, WORKLOAD_TITLES, headline
from .results import Summary
from .workloads import CONCURRENCY

_COLORS: dict[Family, str] = {"ours": "#1f77b4", "peer": "#b8b8b8"}
_CONTENDERS = {contender.name: contender for contender in CONTENDERS}
_WIDTH, _BAR_HEIGHT, _MARGIN = 9.0, 0.38, 1.35
# Of the axis, for the labels behind the bars.
_LABEL_SPACE = 0.3


def write_plot(summaries: Sequence[Summary], machine: Machine, path: Path) -> bool:
    """Draw the tasks per second as SVG; return whether there is anything to draw."""
    shown = headline(summaries)
    if not shown:
        return False
    figure = Figure(figsize=(_WIDTH, _MARGIN + _BAR_HEIGHT * len(shown)), layout="constrained")
    figure.suptitle(
        f"Tasks per second of one worker with {LIMIT} connections", fontsize=15, fontweight="bold", x=0.01, ha="left"
    )
    axis = figure.subplots()
    axis.set_title(f"Each task: {WORKLOAD_TITLES[HEADLINE]}", fontsize=11, color="#505050", loc="left")
    _draw(axis, shown)
    figure.supxlabel(
        f"celery worker -P gevent -c {CONCURRENCY}; {machine.date}, {machine.cpus} CPUs, {machine.cpu_model}",
        fontsize=8,
        color="#707070",
        x=0.01,
        ha="left",
    )
    # So that the same numbers give the same file.
    with mpl.rc_context({"svg.hashsalt": "benchmarks", "svg.fonttype": "none"}):
        figure.savefig(path, format="svg", metadata={"Date": None})
    return True


def _draw(axis: Axes, shown: Sequence[Summary]) -> None:
    values = [one.tasks_per_second or 0.0 for one in shown]
    families = [_CONTENDERS[one.contender].family for one in shown]
    bars = axis.barh(
        [_CONTENDERS[one.contender].title for one in shown],
        values,
        color=[_COLORS[family] for family in families],
        height=0.72,
    )
    axis.invert_yaxis()  # The first is on top.
    axis.bar_label(bars, [_label(one) for one in shown], padding=5, fontsize=10.5)
    for text, family in zip(axis.get_yticklabels(), families, strict=True):
        text.set_fontweight("bold" if family == "ours" else "normal")
    axis.margins(x=_LABEL_SPACE)
    axis.tick_params(axis="y", labelsize=10.5, length=0)
    axis.xaxis.set_visible(False)
    axis.spines[["top", "right", "bottom"]].set_visible(False)


def _label(one: Summary) -> str:
    errors = f", {one.errors:,} errors" if one.errors else ""
    if one.tasks_per_second is None:
        return f"did not end{errors}"
    return f"{one.tasks_per_second:,.0f}  ({one.peak} connections{errors})"
