"""The command line of fairness."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..contenders import CONTENDERS, LIMIT, Contender
from ..growth.options import is_measured
from ..options import WORK_FOLDER


@dataclass(frozen=True)
class FairnessOptions:
    """The options of a run."""

    contenders: tuple[Contender, ...]
    #: How many times as many jobs come as can be served.
    overload: float
    #: For how long they come.
    seconds: float
    query_seconds: float
    out: Path

    @property
    def capacity(self) -> float:
        """How many jobs a second the connections can serve."""
        return LIMIT / self.query_seconds

    @property
    def rate(self) -> float:
        """How many jobs come, a second."""
        return self.overload * self.capacity

    @property
    def jobs(self) -> int:
        """How many come."""
        return max(1, round(self.rate * self.seconds))


def parse_options(arguments: Sequence[str] | None = None) -> FairnessOptions:
    """Parse the command line; exit with a message if it is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks fairness",
        description="Measures how long jobs wait when more of them come than ten connections can serve.",
        epilog="The exit status is 1 when jobs of ours failed, or had more connections than the limit.",
    )
    by_name = {contender.name: contender for contender in CONTENDERS if is_measured(contender, "in process")}
    parser.add_argument(
        "--contenders", nargs="+", choices=list(by_name), default=list(by_name), metavar="NAME", help=", ".join(by_name)
    )
    parser.add_argument("--overload", type=float, default=2.0, help="times what can be served (2)")
    parser.add_argument("--seconds", type=float, default=8.0, help="for which jobs come (8)")
    parser.add_argument("--query-seconds", type=float, default=0.05, help="of each job (0.05)")
    parser.add_argument(
        "--out", type=Path, default=WORK_FOLDER / "fairness", metavar="FOLDER", help="for results (.bench/fairness)"
    )
    namespace = parser.parse_args(arguments)
    if min(namespace.overload, namespace.seconds, namespace.query_seconds) <= 0:
        parser.error("numbers must be greater than 0")
    return FairnessOptions(
        contenders=tuple(by_name[name] for name in by_name if name in namespace.contenders),
        overload=namespace.overload,
        seconds=namespace.seconds,
        query_seconds=namespace.query_seconds,
        out=namespace.out,
    )
