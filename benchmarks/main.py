"""A run of the benchmarks, from the command line to the exit status."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from rich.console import Console

from servers.pgbouncer import find_pgbouncer
from servers.postgres_binaries import PostgresNotFound

from .contenders import Contender
from .environments import Environments
from .ground import prepared
from .machine import describe_machine
from .options import WORK_FOLDER, BenchOptions, parse_options
from .plot import write_plot
from .report import as_json, as_markdown, print_tables
from .results import find_faults, summarize
from .rounds import run_rounds

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks; return the exit status."""
    options = parse_options(arguments)
    for number in _STOP_SIGNALS:
        signal.signal(number, _stop)
    console = Console(highlight=False)
    try:
        return _run(options, console)
    except (PostgresNotFound, RuntimeError) as error:
        console.print(f"{type(error).__name__}: {error}", style="red", markup=False)
        return 1


def _run(options: BenchOptions, console: Console) -> int:
    load = os.getloadavg()[0]
    notes = []
    contenders: Sequence[Contender] = options.contenders
    pgbouncer = find_pgbouncer()
    if pgbouncer is None and any(contender.through_pgbouncer for contender in contenders):
        contenders = [contender for contender in contenders if not contender.through_pgbouncer]
        notes.append("PgBouncer is left out: there is no `pgbouncer` on this machine.")
    environments = Environments(WORK_FOLDER)
    try:
        with console.status("Making the environments ..."):
            for contender in contenders:
                environments.obtain(contender)
        with prepared(environments, pgbouncer) as ground:
            machine = describe_machine(ground.server, environments, pgbouncer, load)
            measurements = run_rounds(options, contenders, ground)
    finally:
        environments.close()
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
    faults = find_faults(summaries, contenders)
    for fault in faults:
        console.print(fault, style="red", markup=False)
    return 1 if faults else 0


def _stop(number: int, frame: FrameType | None) -> None:
    """End the program through all its ``finally`` blocks, which another signal must not interrupt."""
    for other in _STOP_SIGNALS:
        signal.signal(other, lambda *_: None)
    print("\nStopping ...", file=sys.stderr)
    raise SystemExit(128 + number)
