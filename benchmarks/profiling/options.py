"""The profiles' command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..contenders import CONTENDERS, Contender
from ..options import WORK_FOLDER, add_places, places_of
from ..workloads import WORKLOADS, Place, Workload

_CONTENDERS = ("persistent-greenlets", "transaction")


@dataclass(frozen=True)
class ProfileOptions:
    """The options of a run."""

    contenders: tuple[Contender, ...]
    workload: Workload
    places: tuple[Place, ...]
    tasks: int
    #: Samples a second.
    rate: int
    out: Path


def parse_options(arguments: Sequence[str] | None = None) -> ProfileOptions:
    """Parse the command line; exit with a message if it is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks profile",
        description="Samples the stacks of tasks, in process and in workers, and writes where the time goes.",
    )
    by_name = {contender.name: contender for contender in CONTENDERS}
    workloads = {workload.name: workload for workload in WORKLOADS}
    parser.add_argument(
        "--contenders", nargs="+", choices=list(by_name), default=_CONTENDERS, metavar="NAME", help=", ".join(by_name)
    )
    parser.add_argument("--workload", choices=list(workloads), default="get", help="what tasks do (get)")
    add_places(parser)
    parser.add_argument("--tasks", type=int, default=10_000, metavar="N", help="measured tasks (10000)")
    parser.add_argument("--rate", type=int, default=250, metavar="N", help="samples a second (250)")
    parser.add_argument(
        "--out", type=Path, default=WORK_FOLDER / "profile", metavar="FOLDER", help="where results go (.bench/profile)"
    )
    namespace = parser.parse_args(arguments)
    return ProfileOptions(
        contenders=tuple(by_name[name] for name in by_name if name in namespace.contenders),
        workload=workloads[namespace.workload],
        places=places_of(namespace),
        tasks=namespace.tasks,
        rate=namespace.rate,
        out=namespace.out,
    )
