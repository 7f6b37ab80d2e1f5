"""A run of fairness, from the command line to the exit status."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from rich.console import Console

from servers.pgbouncer import find_pgbouncer

from ..ground import Ground, prepared
from ..machine import describe_machine
from ..program import environments_of, report_faults, run_program
from .options import FairnessOptions, parse_options
from .report import as_json, as_markdown
from .run import measure
from .summary import Fairness, find_faults


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; return the exit status."""
    options = parse_options(arguments)
    return run_program(lambda console: _run(options, console))


def _run(options: FairnessOptions, console: Console) -> int:
    load = os.getloadavg()[0]
    with (
        environments_of(options.contenders, console) as environments,
        prepared(environments, find_pgbouncer()) as ground,
    ):
        machine = describe_machine(ground.server, ground.environments, ground.pgbouncer, load)
        results = list(_results(options, ground, console))
    text = as_markdown(results, options, machine)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "fairness.md").write_text(text)
    (options.out / "fairness.json").write_text(as_json(results, machine))
    console.print(text, markup=False, soft_wrap=True)
    console.print(f"Written to {options.out}: fairness.md, fairness.json")
    limits = {contender.name: contender.limit for contender in options.contenders if contender.family == "ours"}
    return report_faults(find_faults(results, limits), console)


def _results(options: FairnessOptions, ground: Ground, console: Console) -> Iterator[Fairness]:
    for contender in options.contenders:
        if contender.through_pgbouncer and ground.pgbouncer is None:
            console.print("PgBouncer is left out: there is no `pgbouncer` on this machine.")
            continue
        console.print(f"{contender.title} ...", markup=False)
        yield measure(ground, contender, options)
