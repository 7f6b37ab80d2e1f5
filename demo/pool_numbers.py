"""The numbers of the pools of the worker's processes, passed on in files.

Remote control would ask the worker, but not with Celery's filesystem broker: it writes messages in place, so that the
other side may read half of one, which ends a worker.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from django_geventpool.pool import PoolStats
from django_geventpool.pool.counters import HistogramSnapshot

#: The environment variable with the folder to which the worker writes them.
NUMBERS_FOLDER = "DEMO_NUMBERS_FOLDER"


@dataclass(frozen=True)
class PoolNumbers:
    """The numbers of connections and of waiting tasks, added up when there are several processes."""

    in_use: int
    idle: int
    waiting: int
    #: Counted since the start, like all below.
    connects: int
    checkouts: int
    timeouts: int
    reclaimed: int
    #: How long requests waited that were not served at once: their number by bucket, and the sum of their seconds.
    wait_counts: list[int]
    wait_total: float

    @classmethod
    def of(cls, stats: PoolStats) -> PoolNumbers:
        """Return the numbers of one pool."""
        return cls(
            in_use=stats.in_use,
            idle=stats.idle,
            waiting=stats.waiting,
            connects=stats.connects,
            checkouts=stats.checkouts,
            timeouts=stats.timeouts,
            reclaimed=stats.reclaimed,
            wait_counts=list(stats.wait_time.counts),
            wait_total=stats.wait_time.total,
        )

    @property
    def wait(self) -> HistogramSnapshot:
        """How long requests waited that were not served at once."""
        return HistogramSnapshot(tuple(self.wait_counts), self.wait_total)

    def __add__(self, other: PoolNumbers) -> PoolNumbers:
        sums = {name: value + getattr(other, name) for name, value in asdict(self).items() if name != "wait_counts"}
        return PoolNumbers(**sums, wait_counts=[*map(sum, zip(self.wait_counts, other.wait_counts, strict=True))])

    def __str__(self) -> str:
        return f"{self.in_use} in use, {self.idle} idle, {self.waiting} waiting"

    def write(self, folder: Path) -> None:
        """Write this process's numbers for ``read_pool_numbers``."""
        file = folder / f"{os.getpid()}.json"
        unfinished = file.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(asdict(self)))
        unfinished.replace(file)


def read_pool_numbers(folder: Path) -> PoolNumbers | None:
    """Return the latest numbers of all processes together; None before the first."""
    files = list(folder.glob("*.json"))
    if not files:
        return None
    first, *others = (PoolNumbers(**json.loads(file.read_text())) for file in files)
    return sum(others, first)
