"""The benchmarks' command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .contenders import CONTENDERS, Contender
from .workloads import WORKLOADS, Place, Workload

#: Environments and results; git ignores it.
WORK_FOLDER = Path(".bench")


@dataclass(frozen=True)
class BenchOptions:
    """The options of a run."""

    rounds: int
    tasks: int
    contenders: tuple[Contender, ...]
    workloads: tuple[Workload, ...]
    places: tuple[Place, ...]
    out: Path


def parse_options(arguments: Sequence[str] | None = None) -> BenchOptions:
    """Parse the command line; exit with a message if it is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures the pool and its peers side by side on a PostgreSQL server that it starts, and writes a "
        "table (Markdown and JSON) and a plot (SVG). `micro` as the only argument measures the pool's own costs "
        "instead, without a server.",
        epilog="The exit status is 1 when a contender of ours had an error or more connections than its limit.",
    )
    parser.add_argument("--rounds", type=_positive, default=3, metavar="N", help="how often each is measured (3)")
    parser.add_argument(
        "--tasks", type=_positive, default=1500, metavar="N", help="measured tasks, half as many of slow ones (1500)"
    )
    by_name = {contender.name: contender for contender in CONTENDERS}
    parser.add_argument(
        "--contenders", nargs="+", choices=list(by_name), default=list(by_name), metavar="NAME", help=", ".join(by_name)
    )
    work_by_name = {workload.name: workload for workload in WORKLOADS}
    parser.add_argument(
        "--workloads",
        nargs="+",
        choices=list(work_by_name),
        default=list(work_by_name),
        metavar="NAME",
        help=", ".join(work_by_name),
    )
    add_places(parser)
    parser.add_argument(
        "--out", type=Path, default=WORK_FOLDER / "results", metavar="FOLDER", help="where results go (.bench/results)"
    )
    namespace = parser.parse_args(arguments)
    return BenchOptions(
        rounds=namespace.rounds,
        tasks=namespace.tasks,
        contenders=tuple(by_name[name] for name in by_name if name in namespace.contenders),
        workloads=tuple(work_by_name[name] for name in work_by_name if name in namespace.workloads),
        places=places_of(namespace),
        out=namespace.out,
    )


def add_places(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where contenders are measured."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--in-process-only", action="store_true", help="greenlets without Celery only")
    where.add_argument("--workers-only", action="store_true", help="real Celery workers only")


def places_of(namespace: argparse.Namespace) -> tuple[Place, ...]:
    """Return where contenders are measured, by those options."""
    if namespace.in_process_only:
        return ("in process",)
    return ("worker",) if namespace.workers_only else ("in process", "worker")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number
