"""What all benchmarks are as programs: how they stop, and what they say when they can't go on."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console

from servers.postgres_binaries import PostgresNotFound

from .contenders import Contender
from .environments import Environments
from .options import WORK_FOLDER

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run_program(run: Callable[[Console], int]) -> int:
    """Run a benchmark, and return its exit status; servers and workers end with it, also when a signal ends it."""
    for number in _STOP_SIGNALS:
        signal.signal(number, _stop)
    console = Console(highlight=False)
    try:
        return run(console)
    except (PostgresNotFound, RuntimeError) as error:
        console.print(f"{type(error).__name__}: {error}", style="red", markup=False)
        return 1


@contextmanager
def environments_of(contenders: Iterable[Contender], console: Console) -> Iterator[Environments]:
    """Yield the environments, in which those of these contenders are made."""
    environments = Environments(WORK_FOLDER)
    try:
        with console.status("Making the environments ..."):
            for contender in contenders:
                environments.obtain(contender)
        yield environments
    finally:
        environments.close()


def report_faults(faults: Iterable[str], console: Console) -> int:
    """Print what was wrong, and return the exit status that follows."""
    status = 0
    for fault in faults:
        console.print(fault, style="red", markup=False, soft_wrap=True)
        status = 1
    return status


def _stop(number: int, frame: FrameType | None) -> None:
    """End the program through all its ``finally`` blocks, which another signal must not interrupt."""
    for other in _STOP_SIGNALS:
        signal.signal(other, lambda *_: None)
    print("\nStopping ...", file=sys.stderr)
    raise SystemExit(128 + number)
