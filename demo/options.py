"""The demo's command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

WorkerPool = Literal["gevent", "eventlet", "threads", "prefork"]

_CONCURRENCY: dict[WorkerPool, int] = {
    "gevent": 200,
    "eventlet": 200,
    "threads": 200,
    # Processes, not greenlets or threads.
    "prefork": 8,
}


@dataclass(frozen=True)
class DemoOptions:
    """The options of a run."""

    pool: WorkerPool
    concurrency: int
    max_conns: int
    tasks: int | None
    stock: bool
    #: Whether to serve the admin's page of the pools.
    page: bool

    @property
    def processes(self) -> int:
        """The number of the worker's processes that run tasks, each with a connection pool of its own."""
        return self.concurrency if self.pool == "prefork" else 1

    @property
    def limit(self) -> int:
        """The number of server connections that the worker may have."""
        return self.max_conns * self.processes


def parse_options(arguments: Sequence[str] | None = None) -> DemoOptions:
    """Parse the command line; exit with a message if it is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m demo",
        description="A Celery worker indexes Python's standard library: hundreds of greenlets at "
        "once, a few PostgreSQL connections. Starts the servers that it needs and stops them.",
        epilog="DATABASE_URL and CELERY_BROKER_URL in the environment make it use servers of "
        "yours; it works in a schema and a queue of its own there, and removes both. "
        "The exit status is 0 when each task has succeeded and left the right rows, and the worker never had more "
        "connections than allowed; with --stock, when tasks have failed as expected, and none without an error.",
    )
    parser.add_argument("--pool", choices=get_args(WorkerPool), default="gevent", help="the worker's -P (gevent)")
    parser.add_argument(
        "--concurrency",
        type=_positive,
        metavar="N",
        help="the worker's -c (200, or 8 with prefork)",
    )
    parser.add_argument(
        "--max-conns",
        type=_positive,
        default=10,
        metavar="N",
        help="MAX_CONNS, the limit of connections of a process (10)",
    )
    parser.add_argument("--tasks", type=_positive, metavar="N", help="run the first N tasks only (all)")
    parser.add_argument(
        "--stock",
        action="store_true",
        help="use Django's own engine instead, to see what happens without a pool",
    )
    parser.add_argument(
        "--page",
        action="store_true",
        help='serve the page "Connection pools" of Django\'s admin meanwhile, and print its address',
    )
    namespace = parser.parse_args(arguments)
    if namespace.page and namespace.stock:
        parser.error("--page shows pools, and with --stock there are none")
    return DemoOptions(
        pool=namespace.pool,
        concurrency=namespace.concurrency or _CONCURRENCY[namespace.pool],
        max_conns=namespace.max_conns,
        tasks=namespace.tasks,
        stock=namespace.stock,
        page=namespace.page,
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number
