"""Asks the workers at intervals, and shows their answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from celery import Celery
from celery.exceptions import CeleryCommandException
from celery.platforms import EX_UNAVAILABLE
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from .asking import Asker
from .keys import Keys
from .samples import Sample
from .table import draw
from .tasks import draw as draw_tasks

#: After how many missed answers in a row a worker leaves the table.
_FORGET_AFTER = 10
#: The width of output that isn't a terminal, in characters.
_WIDTH = 160
#: The key that switches between pools and tasks.
SWITCH = "t"
_HELP = Text(f"{SWITCH}: pools or tasks; Ctrl-C: end", "dim")


def make_console() -> Console:
    """Return a console that is wide enough for the table, also where the output is a file."""
    console = Console()
    return console if console.is_terminal else Console(width=_WIDTH)


def run(app: Celery, console: Console, *, once: bool, tasks: bool, interval: float, timeout: float) -> None:
    """Show the pools of all workers until interrupted, or once.

    :param tasks: whether to begin with the use by task.
    :raises CeleryCommandException: when no worker answers the first question, or the broker can't be reached.
    """
    # To stderr: the table on stdout may go to a file.
    click.echo(f"Asking the workers, who have {timeout:g} s to answer ...", err=True)
    asker = Asker(app)
    asked = time.monotonic()
    samples = asker.ask(timeout, asked, tasks=tasks)
    if not samples:
        raise CeleryCommandException(
            f"No worker answered within {timeout:g} s. Is one running, and is -A its app? A busy one may need a longer "
            "--timeout.",
            EX_UNAVAILABLE,
        )
    if once:
        console.print(draw_tasks(samples.values(), console) if tasks else draw(samples.values(), None, asked, console))
        return
    with _screen(console) as show, Keys() as keys:
        for table in _follow(asker, samples, console, keys, tasks, interval, min(timeout, interval)):
            show(table)


def _follow(
    asker: Asker,
    samples: dict[str, Sample],
    console: Console,
    keys: Keys,
    tasks: bool,
    interval: float,
    timeout: float,
) -> Iterator[RenderableType]:
    """Yield a table after each interval, and at once when a key asks for the other one."""
    before: dict[str, Sample] = {}
    asked = max(sample.when for sample in samples.values())
    while True:
        if not samples:
            yield "No worker answers."
        else:
            drawn = draw_tasks(samples.values(), console) if tasks else draw(samples.values(), before, asked, console)
            yield Group(drawn, _HELP) if console.is_terminal else drawn
        if keys.wait(asked + interval - time.monotonic()) == SWITCH:
            tasks = not tasks
        asked = time.monotonic()
        answers = asker.ask(timeout, asked, tasks=tasks)
        before.update({name: samples[name] for name in answers if name in samples})
        samples = {
            name: sample
            for name, sample in {**samples, **answers}.items()
            if asked - sample.when < _FORGET_AFTER * interval
        }


@contextmanager
def _screen(console: Console) -> Iterator[Callable[[RenderableType], None]]:
    """Yield a function that shows a table: in place of the last one or, in a file, after it. Ctrl-C ends it quietly."""
    try:
        if not console.is_terminal:
            yield console.print
            return
        with Live(console=console, auto_refresh=False, screen=True) as live:
            yield lambda table: live.update(table, refresh=True)
    except KeyboardInterrupt:
        pass
