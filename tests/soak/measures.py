"""The numbers that must not grow: memory, file descriptors, objects."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections import Counter
from pathlib import Path

#: The prefixes of modules whose objects are counted.
OURS = ("django_geventpool", "celery_geventpool", "tests.")
#: In other modules, only objects of connections are counted: they have caches that fill for a while.
OTHERS = ("django.db", "psycopg")
OF_CONNECTIONS = ("Connection", "ursor", "CursorWrapper", "DatabaseOperations", "DatabaseErrorWrapper", "AdaptersMap")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def measure() -> dict[str, float]:
    """Take one sample."""
    collected = time.monotonic()
    gc.collect()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(3600)  # A tuple that another thread is making must not be referred to when that goes on.
    try:
        kinds = Counter(type(entry) for entry in gc.get_objects())
    finally:
        sys.setswitchinterval(interval)
    sample: dict[str, float] = {
        "memory, MiB": int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE / 2**20,
        "file descriptors": len(os.listdir("/proc/self/fd")),  # noqa: PTH208  only their number is needed
        "threads or greenlets": threading.active_count(),
        "objects": float(sum(kinds.values())),
    }
    for kind, count in kinds.items():
        module = str(kind.__module__)  # In some classes this is no string.
        if module.startswith(OURS) or (module.startswith(OTHERS) and kind.__name__.endswith(OF_CONNECTIONS)):
            name = f"{module.split('.')[0]}: {kind.__qualname__}"
            sample[name] = sample.get(name, 0) + count
    sample["seconds for this"] = time.monotonic() - collected
    return sample


class Trend:
    """The samples of a run."""

    def __init__(self) -> None:
        self._samples: list[dict[str, float]] = []

    def add(self) -> None:
        self._samples.append(measure())

    def quarters(self) -> list[tuple[str, float, float]]:
        """Return each measure's name, and its means over the second and the last quarter of the time."""
        size = max(1, len(self._samples) // 4)
        second, last = self._samples[size : 2 * size], self._samples[-size:]
        names = dict.fromkeys(name for sample in self._samples for name in sample)
        return [(name, _mean(name, second), _mean(name, last)) for name in names]

    def summary(self) -> list[tuple[str, float, float]]:
        """Return the totals, and the classes of the pool's and drivers' objects whose numbers change most."""
        quarters = self.quarters()
        kinds = [entry for entry in quarters if entry[0].startswith(("django_geventpool:", "psycopg"))]
        kinds.sort(key=lambda entry: abs(entry[2] - entry[1]), reverse=True)
        return [entry for entry in quarters if ":" not in entry[0]] + kinds[:8]

    def grown(self) -> list[str]:
        """Return the measures that grew, by more than comes and goes with the tasks."""
        return [
            f"{name} grew from {before:.1f} to {after:.1f}"
            for name, before, after in self.quarters()
            if name != "seconds for this" and after > before + _allowance(name, before)
        ]


def _mean(name: str, samples: list[dict[str, float]]) -> float:
    return sum(sample.get(name, 0) for sample in samples) / max(1, len(samples))


def _allowance(name: str, before: float) -> float:
    if name == "memory, MiB":
        return 4 + 0.05 * before
    if name == "objects":
        return 3000 + 0.05 * before
    return 60 + 0.2 * before if ":" in name else 20
