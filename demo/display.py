"""The progress of the worker: live bars, or plain lines where there is no terminal."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
)
from rich.progress_bar import ProgressBar
from rich.table import Table

from .pool_numbers import PoolNumbers

_REFRESHES_PER_SECOND = 10
_SECONDS_BETWEEN_LINES = 2.0
_BAR_WIDTH = 30


@dataclass(frozen=True)
class Moment:
    """The numbers of one moment."""

    ended: int
    failed: int
    #: Since the worker was ready.
    seconds: float
    #: None without a pool.
    pool: PoolNumbers | None
    #: The worker's connections, as the server counts them.
    connections: int
    peak: int


class Display:
    """Shows the numbers of each moment; a context manager.

    :param most_connections: the number of connections at which their bar is full.
    """

    def __init__(self, console: Console, tasks: int, most_connections: int) -> None:
        self._console = console
        self._tasks = tasks
        self._most_connections = most_connections
        self._progress = Progress(
            TextColumn("tasks      "),
            BarColumn(_BAR_WIDTH),
            MofNCompleteColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[speed]:.0f} tasks/s"),
            console=console,
        )
        self._bar = self._progress.add_task("tasks", total=tasks, speed=0.0)
        self._live = Live(console=console, refresh_per_second=_REFRESHES_PER_SECOND)
        self._next_line = time.monotonic() + _SECONDS_BETWEEN_LINES

    def __enter__(self) -> Display:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

    def show(self, moment: Moment, *, is_last: bool = False) -> None:
        """Show the numbers; as plain lines, only now and then, and at the end."""
        if self._console.is_terminal:
            self._progress.update(self._bar, completed=moment.ended, speed=moment.ended / moment.seconds)
            self._live.update(Group(self._progress, self._gauges(moment)))
        elif is_last or time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _SECONDS_BETWEEN_LINES
            self._console.print(self._line(moment), soft_wrap=True)

    def _gauges(self, moment: Moment) -> Table:
        above = moment.connections > self._most_connections
        color = "red" if above else "green"
        gauges = Table.grid(padding=(0, 1))
        gauges.add_row(
            "connections",
            ProgressBar(
                total=self._most_connections,
                completed=moment.connections,
                width=_BAR_WIDTH,
                complete_style=color,
                finished_style=color,
            ),
            f"{moment.connections} on the server, most {moment.peak}",
        )
        if moment.pool is not None:
            gauges.add_row("pool", "", str(moment.pool))
        if moment.failed:
            gauges.add_row("failed", "", f"[red]{moment.failed} tasks[/red]")
        return gauges

    def _line(self, moment: Moment) -> str:
        parts = [f"{moment.ended}/{self._tasks} tasks"]
        if moment.failed:
            parts.append(f"{moment.failed} failed")
        parts.append(f"{moment.connections} connections (most {moment.peak})")
        if moment.pool is not None:
            parts.append(f"pool: {moment.pool}")
        return ", ".join(parts)
