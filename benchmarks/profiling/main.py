"""A run of the profiler, from the command line to the exit status."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.console import Console

from servers.pgbouncer import find_pgbouncer

from ..contenders import Contender
from ..ground import Ground, prepared
from ..machine import describe_machine
from ..program import environments_of, run_program
from ..workloads import Place
from . import sampler
from .options import ProfileOptions, parse_options
from .report import as_markdown
from .run import Run, profile_in_process, profile_in_worker

_PROFILES: dict[Place, Callable[..., Run]] = {"in process": profile_in_process, "worker": profile_in_worker}


def main(arguments: Sequence[str] | None = None) -> int:
    """Profile; return the exit status."""
    options = parse_options(arguments)
    return run_program(lambda console: _run(options, console))


def _run(options: ProfileOptions, console: Console) -> int:
    load = os.getloadavg()[0]
    options.out.mkdir(parents=True, exist_ok=True)
    sampler.command(options.out, options.rate)  # Before all else takes its time, if there is no profiler.
    with (
        environments_of(options.contenders, console) as environments,
        prepared(environments, find_pgbouncer()) as ground,
    ):
        machine = describe_machine(ground.server, ground.environments, ground.pgbouncer, load)
        runs = list(_runs(options, ground, console))
    text = as_markdown(runs, str(machine))
    (options.out / "profile.md").write_text(text)
    console.print(text, markup=False, soft_wrap=True)
    console.print(f"Written to {options.out}: profile.md, and the stacks for flame graphs (*.raw)")
    return 0


def _runs(options: ProfileOptions, ground: Ground, console: Console) -> Iterator[Run]:
    for place in options.places:
        for contender in options.contenders:
            if place in contender.places:
                console.print(f"{place}: {contender.title} ...")
                stacks = _stacks(options, place, contender)
                yield _PROFILES[place](ground, contender, options.workload, options.tasks, options.rate, stacks)


def _stacks(options: ProfileOptions, place: Place, contender: Contender) -> Path:
    name = f"{place.replace(' ', '-')}-{contender.name}-{options.workload.name}.raw"
    return (options.out / name).resolve()
