"""A run of the benchmarks, from the command line to the exit status."""

from __future__ import annotations

import os
from collections.abc import Sequence

from rich.console import Console

from servers.pgbouncer import find_pgbouncer

from .contenders import Contender
from .ground import prepared
from .machine import describe_machine
from .options import BenchOptions, parse_options
from .plot import write_plot
from .program import environments_of, report_faults, run_program
from .report import as_json, as_markdown, print_tables
from .results import find_faults, summarize
from .rounds import run_rounds


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks; return the exit status."""
    options = parse_options(arguments)
    return run_program(lambda console: _run(options, console))


def _run(options: BenchOptions, console: Console) -> int:
    load = os.getloadavg()[0]
    notes = []
    contenders: Sequence[Contender] = options.contenders
    pgbouncer = find_pgbouncer()
    if pgbouncer is None and any(contender.through_pgbouncer for contender in contenders):
        contenders = [contender for contender in contenders if not contender.through_pgbouncer]
        notes.append("PgBouncer is left out: there is no `pgbouncer` on this machine.")
    with environments_of(contenders, console) as environments, prepared(environments, pgbouncer) as ground:
        machine = describe_machine(ground.server, environments, pgbouncer, load)
        measurements = run_rounds(options, contenders, ground)
    summaries = summarize(measurements)
    text = as_markdown(summaries, machine, notes)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "results.md").write_text(text)
    (options.out / "results.json").write_text(as_json(summaries, measurements, machine, notes))
    files = ["results.md", "results.json"]
    if write_plot(summaries, machine, options.out / "tasks-per-second.svg"):
        files.append("tasks-per-second.svg")
    console.print(str(machine), markup=False)
    print_tables(summaries, console)
    console.print(f"Written to {options.out}: {', '.join(files)}")
    return report_faults(find_faults(summaries, contenders), console)
