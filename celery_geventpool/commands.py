"""Additions to Celery's command line, which imports this module in each of its processes.

The entry point "celery.commands" names it: ``celery -A proj geventpool top``. Importing it also makes the pools'
commands known to ``inspect`` and ``control``, which set up no Django, and so import none of its apps.
"""

from __future__ import annotations

from typing import Any

import click
from celery.bin.base import CeleryOption
from celery.bin.worker import worker

from . import control

__all__ = ["control", "geventpool"]

# As Celery does with an app's user_options, to which only the app's own module could add in time.
worker.params += [
    CeleryOption(
        ["--pool-metrics-port"],
        type=click.IntRange(0, 65535),
        help="Serve the numbers of the connection pools to Prometheus; 0 takes any free port.",
        help_group="Connection Pool Options",
    ),
    CeleryOption(
        ["--pool-metrics-host"],
        default="127.0.0.1",
        show_default=True,
        help="The address to serve them on.",
        help_group="Connection Pool Options",
    ),
]


# Options that an app adds to all commands come as additional keyword arguments.
@click.group()
def geventpool(**_kwargs: Any) -> None:
    """Watch the connection pools of the workers."""


@geventpool.command()
@click.option("--once", is_flag=True, help="Print one table, of what happened since the workers started, and end.")
@click.option("--tasks", is_flag=True, help="Begin with the use by task; the key t switches.")
@click.option("--interval", type=click.FloatRange(min=0.1), default=1.0, show_default=True, help="Seconds to refresh.")
@click.option(
    "--timeout", type=click.FloatRange(min=0.1), default=1.0, show_default=True, help="Seconds to wait for answers."
)
@click.pass_context
def top(context: click.Context, /, once: bool, tasks: bool, interval: float, timeout: float, **_kwargs: Any) -> None:
    """Show the pools of all workers: who waits, and for how long; the key t switches to the use by task."""
    try:
        from .top import command
    except ModuleNotFoundError as error:
        if error.name != "rich":
            raise
        raise click.ClickException('top needs rich: pip install "celery-geventpool[top]"') from error
    command.run(context.obj.app, command.make_console(), once=once, tasks=tasks, interval=interval, timeout=timeout)


@geventpool.command()
@click.option("-d", "--destination", help="Names of workers, separated by commas; all of these must be ready.")
@click.option("--live", is_flag=True, help="Only ask whether they answer, not whether they are ready.")
@click.option(
    "--timeout", type=click.FloatRange(min=0.1), default=5.0, show_default=True, help="Seconds to wait for answers."
)
@click.pass_context
def check(context: click.Context, /, destination: str | None, live: bool, timeout: float, **_kwargs: Any) -> None:
    """Exit with 0 if workers are ready: their servers answer, and tasks don't wait for connections too long; else 1."""
    from . import check as checking

    names = None if destination is None else [name.strip() for name in destination.split(",")]
    is_good, lines = checking.check(context.obj.app, names, is_live_enough=live, timeout=timeout)
    click.echo("\n".join(lines), err=not is_good)
    context.exit(0 if is_good else 1)
