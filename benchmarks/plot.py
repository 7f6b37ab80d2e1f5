"""The results as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .contenders import CONTENDERS, Family
from .machine import Machine
from .report import TITLES, WORKLOAD_TITLES, order
from .results import Summary

_COLORS: dict[Family, str] = {"ours": "#1f77b4", "peer": "#b0b0b0", "bound": "#e8e8e8"}
_FAMILIES = {contender.name: contender.family for contender in CONTENDERS}
_COLUMNS = 2
_PANEL_WIDTH, _BAR_HEIGHT, _PANEL_MARGIN = 6.0, 0.24, 0.8


def write_plot(summaries: Sequence[Summary], machine: Machine, path: Path) -> None:
    """Draw the tasks per second as SVG, with a panel for each place and workload."""
    panels = [list(group) for _, group in groupby(order(summaries), key=lambda one: (one.place, one.workload))]
    rows = -(-len(panels) // _COLUMNS)
    height = rows * (_PANEL_MARGIN + _BAR_HEIGHT * max(map(len, panels))) + 0.6
    figure = Figure(figsize=(_COLUMNS * _PANEL_WIDTH, height), layout="constrained")
    axes = list(figure.subplots(rows, _COLUMNS, squeeze=False).flat)
    for axis, panel in zip(axes, panels, strict=False):
        _draw(axis, panel)
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    figure.suptitle(
        f"Tasks a second ({machine.date}, {machine.cpus} CPUs, {machine.cpu_model})", fontsize="medium", x=0.5
    )
    # So that the same numbers give the same file.
    with mpl.rc_context({"svg.hashsalt": "benchmarks", "svg.fonttype": "none"}):
        figure.savefig(path, format="svg", metadata={"Date": None})


def _draw(axis: Axes, panel: Sequence[Summary]) -> None:
    shown = list(reversed(panel))  # Bars are drawn from the bottom to the top.
    values = [one.tasks_per_second or 0.0 for one in shown]
    bars = axis.barh(
        [TITLES[one.contender] for one in shown],
        values,
        color=[_COLORS[_FAMILIES[one.contender]] for one in shown],
        edgecolor="#606060",
        linewidth=0.4,
    )
    labels = [
        f"{value:,.0f}"
        + (f"  ({one.peak} connections)" if one.peak else "")
        + (f"  {one.errors} errors!" * bool(one.errors))
        for one, value in zip(shown, values, strict=True)
    ]
    axis.bar_label(bars, labels, padding=3, fontsize="x-small")
    axis.margins(x=0.4)
    axis.tick_params(labelsize="x-small")
    axis.spines[["top", "right"]].set_visible(False)
    first = panel[0]
    axis.set_title(f"{first.place.capitalize()}: {WORKLOAD_TITLES[first.workload]}", fontsize="small", loc="left")
