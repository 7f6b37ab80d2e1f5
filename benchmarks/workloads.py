"""The workloads, and the places where they are measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Place = Literal["in process", "worker"]

#: How many tasks run at a time, in each place.
CONCURRENCY = 100


@dataclass(frozen=True)
class Workload:
    """What each task does. The function has the same name, in ``project/subject/workloads.py``."""

    name: str
    title: str
    #: The part of the tasks that this workload runs: fewer of slow ones, so that all take about as long.
    share: float
    places: tuple[Place, ...] = ("in process", "worker")


WORKLOADS = (
    Workload("none", "no database at all", 1, ("worker",)),
    Workload("get", "one ORM get", 1),
    Workload("three-gets", "three ORM gets", 0.5),
    Workload("get-wait-update", "get, 50 ms of something else, update", 0.5),
    Workload("transaction-20ms", "a transaction of 20 ms", 0.5),
)
