"""How the pools of the worker's processes are doing, handed over in files.

Remote control would be the way to ask a worker, but not with Celery's filesystem broker: it writes
its messages in place, so that the other side may read half of one, which ends a worker.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

#: The environment variable that tells the worker where to leave its numbers.
NUMBERS_FOLDER = "DEMO_NUMBERS_FOLDER"


@dataclass(frozen=True)
class PoolNumbers:
    """Connections and waiting tasks; the sum, when there are several processes."""

    in_use: int
    idle: int
    waiting: int
    #: How many connections were opened in all.
    connects: int

    def __str__(self) -> str:
        return f"{self.in_use} in use, {self.idle} idle, {self.waiting} waiting"

    def write(self, folder: Path) -> None:
        """Leave this process's numbers for `read_pool_numbers`."""
        file = folder / f"{os.getpid()}.json"
        unfinished = file.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(asdict(self)))
        unfinished.replace(file)


def read_pool_numbers(folder: Path) -> PoolNumbers | None:
    """The latest numbers of all processes together; None before the first."""
    files = list(folder.glob("*.json"))
    if not files:
        return None
    numbers = [astuple(PoolNumbers(**json.loads(file.read_text()))) for file in files]
    return PoolNumbers(*map(sum, zip(*numbers, strict=True)))
