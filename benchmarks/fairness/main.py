"""A run of fairness, from the command line to the exit status."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence

from rich.console import Console

from servers.pgbouncer import find_pgbouncer
from servers.postgres_binaries import PostgresNotFound

from ..environments import Environments
from ..ground import Ground, prepared
from ..machine import describe_machine
from ..options import WORK_FOLDER
from .options import FairnessOptions, parse_options
from .report import as_json, as_markdown
from .run import measure
from .summary import Fairness, find_faults


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; return the exit status."""
    options = parse_options(arguments)
    console = Console(highlight=False)
    # So that servers and workers end with this program.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    environments = Environments(WORK_FOLDER)
    try:
        return _run(options, environments, console)
    except (PostgresNotFound, RuntimeError) as error:
        console.print(f"{type(error).__name__}: {error}", style="red", markup=False)
        return 1
    finally:
        environments.close()


def _run(options: FairnessOptions, environments: Environments, console: Console) -> int:
    load = os.getloadavg()[0]
    for contender in options.contenders:
        environments.obtain(contender)
    with prepared(environments, find_pgbouncer()) as ground:
        machine = describe_machine(ground.server, ground.environments, ground.pgbouncer, load)
        results = list(_results(options, ground, console))
    text = as_markdown(results, options, machine)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "fairness.md").write_text(text)
    (options.out / "fairness.json").write_text(as_json(results, machine))
    console.print(text, markup=False, soft_wrap=True)
    console.print(f"Written to {options.out}: fairness.md, fairness.json")
    limits = {contender.name: contender.limit for contender in options.contenders if contender.family == "ours"}
    faults = find_faults(results, limits)
    for fault in faults:
        console.print(fault, style="red", markup=False)
    return 1 if faults else 0


def _results(options: FairnessOptions, ground: Ground, console: Console) -> Iterator[Fairness]:
    for contender in options.contenders:
        if contender.through_pgbouncer and ground.pgbouncer is None:
            console.print("PgBouncer is left out: there is no `pgbouncer` on this machine.")
            continue
        console.print(f"{contender.title} ...", markup=False)
        yield measure(ground, contender, options)
