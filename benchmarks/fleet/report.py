"""The fleets' results as tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from .contenders import CONTENDERS
from .run import Run
from .scenarios import Shape
from .statistics import Figures
from .summary import Summary, ratio_of

_TITLES = {contender.name: contender.title for contender in CONTENDERS}

_SUMMARY_COLUMNS = (
    *("fleet", "contender", "throughput of the possible, all busy", "x PgBouncer's", "least share of a fair one"),
    *("of connections", "a lone busy worker has 90 %", "of connections", "others back at half their share"),
    *("refused connects a worker and second", "connects", "further statements", "longest wait", "PoolTimeouts"),
    *("other errors", "most sessions"),
)
_PHASE_COLUMNS = (
    *("fleet", "contender", "phase", "limit", "throughput", "least share", "of connections", "90 % of the possible"),
    *("of connections", "half a share for all", "within the limit", "refused", "connects", "longest wait"),
    *("PoolTimeouts", "other errors", "most sessions", "of a worker"),
)

Row = Sequence[str]


def as_markdown(runs: Sequence[Run], summaries: Sequence[Summary], machine: str) -> str:
    """Return a table with a line for each run of "phases", and one for each scenario with a line for each phase."""
    parts = [machine]
    if summaries:
        parts += ["## phases", _table(_SUMMARY_COLUMNS, [_summary_row(one, summaries) for one in summaries])]
    for scenario in dict.fromkeys(run.scenario for run in runs):
        rows = [_phase_row(run, phase) for run in runs if run.scenario == scenario for phase in run.phases]
        parts += [f"## {scenario}, each phase", _table(_PHASE_COLUMNS, rows)]
    return "\n\n".join(parts) + "\n"


def as_json(runs: Sequence[Run], summaries: Sequence[Summary], machine: Mapping[str, object]) -> str:
    """Return all figures."""
    return json.dumps(
        {
            "machine": machine,
            "summaries": [asdict(one) for one in summaries],
            "runs": [
                {
                    "contender": run.contender.name,
                    "fleet": str(run.shape),
                    "scenario": run.scenario,
                    "further_statements": run.further_statements,
                    "phases": [asdict(phase) for phase in run.phases],
                }
                for run in runs
            ],
        },
        indent=1,
    )


def pgbouncer_of(summaries: Sequence[Summary], shape: Shape) -> Summary | None:
    """Return PgBouncer's run of a shape; None if there is none."""
    return next((one for one in summaries if one.contender == "pgbouncer" and one.shape == shape), None)


def _summary_row(one: Summary, summaries: Sequence[Summary]) -> Row:
    pgbouncer = pgbouncer_of(summaries, one.shape)
    return (
        str(one.shape),
        _TITLES[one.contender],
        _range(one.throughput),
        _part(None if pgbouncer is None else ratio_of(one, pgbouncer)),
        _part(one.least_share),
        _part(one.least_share_held),
        _seconds(one.seconds_to_nearly_all),
        _seconds(one.seconds_to_nearly_all_held),
        _seconds(one.seconds_to_half),
        f"{one.refused:.2f}",
        f"{one.connects:.2f}",
        f"{one.further_statements:.2f}",
        _seconds(one.longest_wait),
        str(one.timeouts),
        str(one.other_errors),
        str(one.most_sessions),
    )


def _phase_row(run: Run, phase: Figures) -> Row:
    return (
        str(run.shape),
        _TITLES[run.contender.name],
        phase.phase,
        str(phase.limit),
        f"{phase.throughput:.2f}",
        _part(phase.least_share),
        _part(phase.least_share_held),
        _seconds(phase.seconds_to_nearly_all),
        _seconds(phase.seconds_to_nearly_all_held),
        _seconds(phase.seconds_to_half),
        _seconds(phase.seconds_to_limit),
        f"{phase.refused:.2f}",
        f"{phase.connects:.2f}",
        _seconds(phase.longest_wait),
        str(phase.timeouts),
        str(phase.other_errors),
        str(phase.most_sessions),
        str(phase.most_sessions_of_one),
    )


def _table(columns: Row, body: Sequence[Row]) -> str:
    rows = [columns, ["---"] * len(columns), *body]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _range(values: Sequence[float]) -> str:
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return low if low == high else f"{low}-{high}"


def _part(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} s"
