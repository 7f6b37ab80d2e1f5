"""Start, stop, and the exit status."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import django
from django.db import OperationalError
from kombu.exceptions import OperationalError as BrokerError
from rich.console import Console

from servers.celery_worker import WorkerFailed
from servers.postgres_binaries import PostgresNotFound

from .environment import environment, what_starts
from .options import DemoOptions, parse_options
from .outcome import Outcome

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOG_LINES = 15


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; return the exit status."""
    options = parse_options(arguments)
    for number in _STOP_SIGNALS:
        signal.signal(number, _stop)
    console = Console(highlight=False)
    try:
        outcome = _run(options, console)
    except (OperationalError, BrokerError, PostgresNotFound, WorkerFailed) as error:
        console.print(f"[red]{type(error).__name__}[/red]:", end=" ")
        console.print(str(error), markup=False)
        return 1
    return 0 if outcome.is_as_expected else 1


def _run(options: DemoOptions, console: Console) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="geventpool-demo-") as name:
        folder = Path(name)
        log_file = folder / "worker.log"
        if options.stock:
            console.print("Without a pool: tasks are expected to fail, when the server has no connection left.")
        console.print(f"Starting {what_starts()} ...")
        with environment(options, folder) as surroundings:
            console.print(f"On {surroundings.description}.")
            os.environ.update(surroundings.variables)
            django.setup()
            # This imports the settings, which need the servers' addresses.
            from .run import run

            outcome = run(options, surroundings, console, log_file)
        outcome.print(console)
        if not outcome.is_as_expected:
            _show_log(console, log_file)
        return outcome


def _show_log(console: Console, log_file: Path) -> None:
    """Copy the worker's log to where it stays, and print that path and the log's end."""
    descriptor, kept = tempfile.mkstemp(prefix="geventpool-demo-", suffix=".log")
    os.close(descriptor)
    shutil.copyfile(log_file, kept)
    tail = log_file.read_text(errors="replace").splitlines()[-_LOG_LINES:]
    console.print(f"The worker's log, {kept}, ends with:")
    console.print("\n".join(tail), style="dim", markup=False, soft_wrap=True)


def _stop(number: int, frame: FrameType | None) -> None:
    """End the program through all its ``finally`` blocks, which another signal must not interrupt."""
    for other in _STOP_SIGNALS:
        signal.signal(other, lambda *_: None)
    print("\nStopping ...", file=sys.stderr)
    raise SystemExit(128 + number)
