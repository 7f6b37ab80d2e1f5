"""The order of measuring."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from .contenders import Contender
from .ground import Ground
from .in_process import measure_in_process
from .in_worker import measure_in_worker
from .options import BenchOptions
from .results import Measurement
from .workloads import Workload


def run_rounds(options: BenchOptions, contenders: Sequence[Contender], ground: Ground) -> list[Measurement]:
    """Measure all contenders in each round, so that changing load on the machine hits them alike."""
    in_process = [workload for workload in options.workloads if "in process" in workload.places]
    by_place = {place: sum(place in contender.places for contender in contenders) for place in options.places}
    per_round = by_place.get("in process", 0) * len(in_process) + by_place.get("worker", 0) * len(options.workloads)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    measurements = []
    with Progress(*columns) as progress:
        bar = progress.add_task("", total=options.rounds * per_round)
        for number in range(options.rounds):
            # Each round starts with another contender.
            turn = number * len(contenders) // options.rounds
            order = [*contenders[turn:], *contenders[:turn]]
            for measurement in _run_round(options, order, in_process, ground, number + 1):
                measurements.append(measurement)
                progress.update(bar, advance=1, description=_describe(measurement))
    return measurements


def _run_round(
    options: BenchOptions,
    contenders: Sequence[Contender],
    in_process: Sequence[Workload],
    ground: Ground,
    number: int,
) -> Iterator[Measurement]:
    if "in process" in options.places:
        for workload in in_process:
            for contender in contenders:
                if "in process" in contender.places:
                    yield measure_in_process(ground, contender, workload, number, options.tasks)
    if "worker" in options.places:
        for contender in contenders:
            if "worker" not in contender.places:
                continue
            yield from measure_in_worker(ground, contender, options.workloads, number, options.tasks)


def _describe(measurement: Measurement) -> str:
    speed = measurement.tasks_per_second
    errors = f", {measurement.errors} errors" if measurement.errors else ""
    return (
        f"round {measurement.round}, {measurement.place}, {measurement.workload}, {measurement.contender}: "
        f"{'-' if speed is None else f'{speed:.0f}/s'}{errors}"
    )
