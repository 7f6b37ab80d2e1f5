"""A run of growth, from the command line to the exit status."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from rich.console import Console

from servers.pgbouncer import find_pgbouncer

from ..ground import Ground, prepared
from ..machine import describe_machine
from ..program import environments_of, report_faults, run_program
from .options import GrowthOptions, is_measured, parse_options
from .report import as_json, as_markdown
from .run import measure
from .summary import Point, find_faults, summarize


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; return the exit status."""
    options = parse_options(arguments)
    return run_program(lambda console: _run(options, console))


def _run(options: GrowthOptions, console: Console) -> int:
    load = os.getloadavg()[0]
    if options.gc_threshold is not None:
        os.environ["BENCH_GC_THRESHOLD"] = str(options.gc_threshold)
    with (
        environments_of(options.contenders, console) as environments,
        prepared(environments, find_pgbouncer()) as ground,
    ):
        machine = describe_machine(ground.server, ground.environments, ground.pgbouncer, load)
        if options.gc_threshold is not None:
            machine.versions["gc.set_threshold"] = f"({options.gc_threshold:_}, 10, 10)"
        points = list(_points(options, ground, console))
    growths = summarize(points)
    text = as_markdown(growths, machine, options.workload.title, options.rounds)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "growth.md").write_text(text)
    (options.out / "growth.json").write_text(as_json(growths, points, machine))
    console.print(text, markup=False, soft_wrap=True)
    console.print(f"Written to {options.out}: growth.md, growth.json")
    return report_faults(find_faults(growths, options.contenders), console)


def _points(options: GrowthOptions, ground: Ground, console: Console) -> Iterator[Point]:
    # As many for all, so that the memory that they take is the same.
    sent = 2 * max(options.sizes) + options.tasks
    for number in range(options.rounds):
        for place in options.places:
            for size in options.sizes:
                for contender in options.contenders:
                    if not is_measured(contender, place) or (contender.through_pgbouncer and not ground.pgbouncer):
                        continue
                    point = measure(
                        ground,
                        contender,
                        place,
                        options.workload.name,
                        greenlets=size,
                        tasks=options.tasks,
                        sent=sent,
                    )
                    cpu = "-" if point.cpu is None else f"{point.cpu * 1e6:.0f} us"
                    console.print(
                        f"round {number + 1}, {place}, {size:,} greenlets, {contender.name}: {cpu} of CPU, "
                        f"{point.running:,} at work, {point.rss / 2**20:.0f} MiB, {point.errors} errors",
                        markup=False,
                    )
                    yield point
