"""A run of the fleets, from the command line to the exit status."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Iterator, Sequence

from rich.console import Console

from servers.pgbouncer import find_pgbouncer

from ..machine import revision
from ..program import report_faults, run_program
from .contenders import PGBOUNCER
from .ground import Ground, prepared
from .options import FleetOptions, parse_options
from .report import as_json, as_markdown, pgbouncer_of
from .run import Run, run_fleet
from .scenarios import SCENARIOS
from .summary import Summary, find_faults, missed_after_changes, missed_goals, summarize
from .workers import Kind


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the fleets; return the exit status."""
    options = parse_options(arguments)
    return run_program(lambda console: _run(options, console))


def _run(options: FleetOptions, console: Console) -> int:
    machine = _describe_machine(options)
    limit = max(shape.limit for scenario in options.scenarios for shape in options.shapes_of(scenario))
    with prepared(limit) as ground:
        runs = list(_runs(options, ground, console))
    summaries = [summarize(run) for run in runs if run.scenario == "phases"]
    text = as_markdown(runs, summaries, ", ".join(f"{name} {value}" for name, value in machine.items()))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "fleet.md").write_text(text)
    (options.out / "fleet.json").write_text(as_json(runs, summaries, machine))
    console.print(text, markup=False, soft_wrap=True)
    console.print(f"Written to {options.out}: fleet.md, fleet.json")
    return report_faults([*find_faults(runs), *_missed(runs, summaries)], console)


def _runs(options: FleetOptions, ground: Ground, console: Console) -> Iterator[Run]:
    for scenario in options.scenarios:
        for shape in options.shapes_of(scenario):
            for contender in options.contenders:
                # Its limit stands in its configuration, not with the role.
                if contender.name == PGBOUNCER and (scenario == "limit" or find_pgbouncer() is None):
                    console.print(f"{scenario}, {shape}: PgBouncer is left out")
                    continue
                kind = Kind(
                    contender,
                    options.framework,
                    options.driver,
                    max_conns=shape.max_conns,
                    greenlets=options.greenlets_of(shape),
                    query_seconds=options.query_seconds,
                )
                console.print(f"{scenario}, {shape}: {contender.title} ...")
                phases = SCENARIOS[scenario](shape, options.seconds)
                yield run_fleet(ground, kind, shape, scenario, phases, with_celery=options.with_celery)


def _missed(runs: Sequence[Run], summaries: Sequence[Summary]) -> Iterator[str]:
    """Yield the goals that ours have missed."""
    for one in summaries:
        if one.contender != PGBOUNCER:
            for goal in missed_goals(one, pgbouncer_of(summaries, one.shape)):
                yield f"{one.contender}, {one.shape}: {goal}"
    for run in runs:
        if run.contender.name != PGBOUNCER and run.scenario != "phases":
            for goal in missed_after_changes(run):
                yield f"{run.contender.name}, {run.shape}, {goal}"


def _describe_machine(options: FleetOptions) -> dict[str, object]:
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "CPUs": os.cpu_count() or 1,
        "load at the start": round(os.getloadavg()[0], 1),
        "celery-geventpool": revision(),
        "Python": platform.python_version(),
        "framework": options.framework,
        "driver": options.driver,
        "workers": "Celery's, with Redis" if options.with_celery else "without Celery",
        "seconds of a phase": options.seconds,
        "seconds of a query": options.query_seconds,
    }
