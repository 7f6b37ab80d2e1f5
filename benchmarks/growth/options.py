"""The command line of growth."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..contenders import Contender
from ..options import WORK_FOLDER, add_places, places_of
from ..workloads import WORKLOADS, Place, Workload
from .contenders import CONTENDERS

_SIZES = (100, 1_000, 5_000, 10_000)
_DEFAULT = (
    "switches",
    "bare",
    "persistent",
    "persistent-greenlets",
    "session",
    "transaction",
    "django-db-geventpool",
    "django-pool",
)


@dataclass(frozen=True)
class GrowthOptions:
    """The options of a run."""

    rounds: int
    tasks: int
    sizes: tuple[int, ...]
    contenders: tuple[Contender, ...]
    workload: Workload
    places: tuple[Place, ...]
    #: Python's first threshold of garbage collections; None for the default.
    gc_threshold: int | None
    out: Path


def parse_options(arguments: Sequence[str] | None = None) -> GrowthOptions:
    """Parse the command line; exit with a message if it is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks growth",
        description="Measures CPU and memory of a task, with ten connections, while more and more greenlets wait for "
        "them, in process and in real Celery workers.",
        epilog="The exit status is 1 when tasks of ours failed, or had more connections than the limit.",
    )
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="how often each is measured (3)")
    parser.add_argument("--tasks", type=int, default=5000, metavar="N", help="measured each time (5000)")
    parser.add_argument(
        "--greenlets", nargs="+", type=int, default=_SIZES, metavar="N", help=" ".join(map(str, _SIZES))
    )
    by_name = {contender.name: contender for contender in CONTENDERS}
    parser.add_argument(
        "--contenders",
        nargs="+",
        choices=list(by_name),
        default=_DEFAULT,
        metavar="NAME",
        help=f"{', '.join(by_name)} ({' '.join(_DEFAULT)})",
    )
    work = {workload.name: workload for workload in WORKLOADS}
    parser.add_argument(
        "--workload", choices=list(work), default="get", metavar="NAME", help=f"{', '.join(work)} (get)"
    )
    parser.add_argument(
        "--gc-threshold",
        type=int,
        metavar="N",
        help="let processes collect garbage after N new objects (default: 700, workers of ours 10000)",
    )
    add_places(parser)
    parser.add_argument(
        "--out", type=Path, default=WORK_FOLDER / "growth", metavar="FOLDER", help="where results go (.bench/growth)"
    )
    namespace = parser.parse_args(arguments)
    if min(namespace.rounds, namespace.tasks, *namespace.greenlets) < 1:
        parser.error("numbers must be at least 1")
    return GrowthOptions(
        rounds=namespace.rounds,
        tasks=namespace.tasks,
        sizes=tuple(sorted(set(namespace.greenlets))),
        contenders=tuple(by_name[name] for name in by_name if name in namespace.contenders),
        workload=work[namespace.workload],
        places=places_of(namespace),
        gc_threshold=namespace.gc_threshold,
        out=namespace.out,
    )


def is_measured(contender: Contender, place: Place) -> bool:
    """Return whether a contender is measured there: in process, each task must have a greenlet that may wait."""
    has_greenlets = not contender.is_persistent or contender.has_greenlet_per_task
    return place in contender.places and (place == "worker" or has_greenlets)
