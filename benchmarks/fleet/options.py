"""The fleet's command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..options import WORK_FOLDER
from .contenders import CONTENDERS, Contender, Driver
from .scenarios import SCENARIOS, Shape
from .workers import Framework

#: Those that say most; without --shapes, the first two.
_SHAPES = ("4x10@25", "8x25@25", "16x25@50", "20x10@15", "20x25@50", "30x25@25")
#: The scenario "limit" starts from it.
_LIMIT_SHAPE = "8x25@50"
#: Greenlets of a Celery worker for each of its connections.
_CELERY_GREENLETS = 2


@dataclass(frozen=True)
class FleetOptions:
    """The options of a run."""

    shapes: tuple[Shape, ...]
    contenders: tuple[Contender, ...]
    scenarios: tuple[str, ...]
    seconds: float
    query_seconds: float
    greenlets: int | None
    framework: Framework
    driver: Driver
    with_celery: bool
    out: Path

    def shapes_of(self, scenario: str) -> tuple[Shape, ...]:
        """Return the shapes that go through a scenario."""
        return (Shape.parse(_LIMIT_SHAPE),) if scenario == "limit" and not self.shapes else self.shapes or _default()

    def greenlets_of(self, shape: Shape) -> int:
        """Return how many greenlets a worker has: with Celery, whose tasks have pauses between them, twice as many."""
        return self.greenlets or shape.max_conns * (_CELERY_GREENLETS if self.with_celery else 1)


def _default() -> tuple[Shape, ...]:
    return tuple(map(Shape.parse, _SHAPES[:2]))


def parse_options(arguments: Sequence[str] | None = None) -> FleetOptions:
    """Parse the command line; exit with a message if it is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks fleet",
        description="Measures how processes that all want connections share a role's CONNECTION LIMIT, on a PostgreSQL "
        "server that it starts, beside PgBouncer with as many connections.",
        epilog="The exit status is 1 when ours had more sessions than it may have, other errors than PoolTimeout, or "
        "missed a goal.",
    )
    parser.add_argument(
        "--shapes",
        nargs="+",
        type=_shape,
        default=(),
        metavar="NxM@L",
        help=f"N workers with MAX_CONNS M at a limit of L, any or all of {', '.join(_SHAPES)} "
        f"({' '.join(_SHAPES[:2])}; {_LIMIT_SHAPE} in the scenario limit)",
    )
    by_name = {contender.name: contender for contender in CONTENDERS}
    parser.add_argument(
        "--contenders", nargs="+", choices=list(by_name), default=list(by_name), metavar="NAME", help=", ".join(by_name)
    )
    parser.add_argument(
        "--scenarios",
        nargs="+",
        choices=list(SCENARIOS),
        default=["phases"],
        metavar="NAME",
        help=f"{', '.join(SCENARIOS)} (phases)",
    )
    parser.add_argument("--seconds", type=float, default=12.0, help="of each phase (12)")
    parser.add_argument("--query-seconds", type=float, default=0.05, help="of each query (0.05)")
    parser.add_argument(
        "--greenlets", type=int, metavar="N", help="of each worker (as many as MAX_CONNS; with Celery twice as many)"
    )
    parser.add_argument("--framework", choices=["gevent", "eventlet", "threads"], default="gevent")
    parser.add_argument("--driver", choices=["psycopg2", "psycopg"], default="psycopg2")
    parser.add_argument("--celery", action="store_true", help="real Celery workers, with a Redis server as broker")
    parser.add_argument(
        "--out", type=Path, default=WORK_FOLDER / "fleet", metavar="FOLDER", help="where results go (.bench/fleet)"
    )
    namespace = parser.parse_args(arguments)
    if namespace.seconds < 2:
        parser.error("--seconds: must be at least 2")
    return FleetOptions(
        shapes=tuple(namespace.shapes),
        contenders=tuple(by_name[name] for name in by_name if name in namespace.contenders),
        scenarios=tuple(namespace.scenarios),
        seconds=namespace.seconds,
        query_seconds=namespace.query_seconds,
        greenlets=namespace.greenlets,
        framework=namespace.framework,
        driver=namespace.driver,
        with_celery=namespace.celery,
        out=namespace.out,
    )


def _shape(text: str) -> Shape:
    try:
        return Shape.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
