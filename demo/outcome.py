"""The result of a run, and whether it is as it should be."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from django_geventpool.drivers.server import is_full

from .options import DemoOptions
from .pool_numbers import PoolNumbers

_REASONS_SHOWN = 3
#: Narrower than most terminals, so that nothing wraps.
_WIDTH = 78
_NEXT = """
Next:
  tox -e demo -- --stock                         the same without a pool
  tox -e demo -- --pool eventlet --max-conns 5   with eventlet
and in a project of your own, while its workers run:
  celery -A shop inspect pools holders           who holds connections
  celery -A shop geventpool top                  the pools of all workers\
"""
_NEXT_WITH_POOL = """
Next:
  tox -e demo                                    the same tasks through a pool\
"""


@dataclass(frozen=True)
class Outcome:
    """The numbers of a run."""

    options: DemoOptions
    tasks: int
    modules: int
    definitions: int
    #: Tasks that did not end, or that succeeded and left wrong rows or none.
    lost: int
    #: Modules whose rows differ from the serial count, except those of failed tasks.
    wrong_modules: int
    failed: int
    #: Why tasks failed, and how many each.
    reasons: list[tuple[str, int]]
    seconds: float
    peak: int
    samples: int
    #: At the end.
    pool: PoolNumbers | None

    @property
    def is_good(self) -> bool:
        """Whether no task was lost or failed, the limit was kept, and all connections were given back."""
        return not any(self._faults().values())

    @property
    def is_as_expected(self) -> bool:
        """Whether all is good or, without a pool, tasks have failed as the server was full, and in no other way."""
        if self.is_good or not self.options.stock:
            return self.is_good
        refused = all(is_full(reason) for reason, _ in self.reasons)
        return refused and not self.lost and not self.wrong_modules

    @property
    def is_over_limit(self) -> bool:
        """Whether the worker had more connections than MAX_CONNS allows; never without a pool."""
        return not self.options.stock and self.peak > self.options.limit

    def print(self, console: Console) -> None:
        """Print the table."""
        table = Table(title=self._title(), show_header=False, width=min(_WIDTH, console.width))
        table.add_column(justify="right", style="bold")
        table.add_column(overflow="fold")
        table.add_row("tasks", f"{self.tasks}, for {self.modules} modules")
        table.add_row("no result, or wrong rows", _count(self.lost))
        table.add_row("failed", self._failures())
        for reason, count in self.reasons[:_REASONS_SHOWN]:
            table.add_row("", f"[red]{count} x[/red] {reason}")
        if self.failed == 0:
            wrong = f"[red]{self.wrong_modules} modules differ[/red]"
            right = f"{self.definitions} functions and classes, as in the serial count"
            table.add_row("rows", wrong if self.wrong_modules else right)
        table.add_row("tasks/s", f"{self.tasks / self.seconds:.0f} ({self.seconds:.1f} s)")
        peak = f"[red]{self.peak}[/red]" if self.is_over_limit else str(self.peak)
        table.add_row("most connections", f"{peak}, {self._limit()}")
        if self.pool is not None:
            table.add_row("connections opened", str(self.pool.connects))
            table.add_row("checkouts", f"{self.pool.checkouts}, {self._waits()}")
            table.add_row("timeouts, reclaimed", f"{self.pool.timeouts}, {self.pool.reclaimed}")
            table.add_row("pool at the end", str(self.pool))
        table.add_row("counted by the server", f"{self.samples} times, every 20 ms")
        console.print(table)
        console.print(self._verdict())
        console.print(_NEXT_WITH_POOL if self.options.stock else _NEXT, highlight=False)

    def _waits(self) -> str:
        assert self.pool is not None
        wait = self.pool.wait
        if not wait.count:
            return "none of which had to wait"
        return f"{wait.count} of which waited: p50 {wait.quantile(0.5):.2f} s, p95 {wait.quantile(0.95):.2f} s"

    def _title(self) -> str:
        engine = "Django's own engine" if self.options.stock else "django_geventpool"
        return f"celery worker -P {self.options.pool} -c {self.options.concurrency}, {engine}"

    def _failures(self) -> str:
        if self.options.stock and self.failed:
            return f"[yellow]{self.failed}[/yellow], as expected without a pool"
        return _count(self.failed)

    def _verdict(self) -> str:
        if self.is_good:
            return "[green]Every task is done, and its rows are there.[/green]"
        if self.options.stock and self.is_as_expected:
            return (
                "[yellow]As expected without a pool: each task opened a connection of its own, the\n"
                "server was full, and tasks failed.[/yellow]"
            )
        return f"[red]{', '.join(f'{n} {fault}' for fault, n in self._faults().items() if n)}[/red]"

    def _faults(self) -> dict[str, int]:
        """Return the numbers that must be 0, by their names."""
        return {
            "tasks without a result, or with wrong rows": self.lost,
            "tasks failed": self.failed,
            "modules wrong": self.wrong_modules,
            "connections too many": self.peak - self.options.limit if self.is_over_limit else 0,
            "connections not given back": self.pool.in_use if self.pool else 0,
        }

    def _limit(self) -> str:
        if self.options.stock:
            return "without a limit but the server's"
        limit = f"MAX_CONNS {self.options.max_conns}"
        if self.options.processes > 1:
            limit += f" in each of {self.options.processes} processes"
        return limit


def _count(number: int) -> str:
    return f"[red]{number}[/red]" if number else "[green]0[/green]"
