"""The command line of the faults."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..contenders import Contender
from ..options import WORK_FOLDER
from .contenders import CONTENDERS
from .scenario import Scenario
from .scenarios import SCENARIOS


@dataclass(frozen=True)
class FaultOptions:
    """The options of a run."""

    scenarios: tuple[Scenario, ...]
    contenders: tuple[Contender, ...]
    keeps_others: bool
    out: Path


def parse_options(arguments: Sequence[str] | None = None) -> FaultOptions:
    """Parse the command line; exit with a message if it is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks faults",
        description="Lets pools meet what breaks them, on PostgreSQL servers that it starts, and writes what each did "
        "to "
        "a page (Markdown) and as JSON.",
        epilog="The exit status is 1 when a contender of ours did not do what is right.",
    )
    parser.add_argument(
        "--scenario",
        nargs="+",
        choices=list(SCENARIOS),
        default=list(SCENARIOS),
        metavar="NAME",
        help=f"any of {', '.join(SCENARIOS)} (all)",
    )
    by_name = {contender.name: contender for contender in CONTENDERS}
    parser.add_argument(
        "--contenders",
        nargs="+",
        choices=list(by_name),
        default=list(by_name),
        metavar="NAME",
        help=f"any of {', '.join(by_name)} (all)",
    )
    parser.add_argument(
        "--keep", action="store_true", help="keep the other results that the folder has, and write a page with all"
    )
    parser.add_argument(
        "--out", type=Path, default=WORK_FOLDER / "faults", metavar="FOLDER", help="where results go (.bench/faults)"
    )
    namespace = parser.parse_args(arguments)
    return FaultOptions(
        scenarios=tuple(SCENARIOS[name] for name in SCENARIOS if name in namespace.scenario),
        contenders=tuple(by_name[name] for name in by_name if name in namespace.contenders),
        keeps_others=namespace.keep,
        out=namespace.out,
    )
