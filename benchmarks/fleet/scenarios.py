"""What a fleet is, and what happens to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """How many workers there are, what each may take, and the server's limit for all."""

    workers: int
    max_conns: int
    limit: int

    @classmethod
    def parse(cls, text: str) -> Shape:
        """Return the shape that is written as WORKERSxMAX_CONNS@LIMIT.

        :raises ValueError: when it isn't.
        """
        match = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)@([1-9]\d*)", text)
        if match is None:
            raise ValueError(f"not of the form 8x25@25: {text}")
        return cls(*map(int, match.groups()))

    def __str__(self) -> str:
        return f"{self.workers}x{self.max_conns}@{self.limit}"


@dataclass(frozen=True)
class Phase:
    """A part of a run, in which nothing changes."""

    name: str
    #: In seconds after the start of the run.
    begin: float
    end: float
    #: The numbers of the workers that run queries.
    busy: frozenset[int]
    #: The role's CONNECTION LIMIT.
    limit: int
    #: A worker that is killed (SIGKILL) when the phase begins.
    killed: int | None = None

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.end - self.begin


Scenario = Callable[[Shape, float], list[Phase]]


def _all_one_all(shape: Shape, seconds: float) -> list[Phase]:
    everyone, lone = frozenset(range(shape.workers)), frozenset({0})
    return [
        Phase("all busy", 0, seconds, everyone, shape.limit),
        Phase("one busy", seconds, 2 * seconds, lone, shape.limit),
        Phase("all busy again", 2 * seconds, 3 * seconds, everyone, shape.limit),
    ]


def _late(shape: Shape, seconds: float) -> list[Phase]:
    everyone = frozenset(range(shape.workers))
    return [
        Phase("all but one", 0, seconds, everyone - {0}, shape.limit),
        Phase("one more", seconds, 2 * seconds, everyone, shape.limit),
    ]


def _killed(shape: Shape, seconds: float) -> list[Phase]:
    everyone = frozenset(range(shape.workers))
    return [
        Phase("all busy", 0, seconds, everyone, shape.limit),
        Phase("one killed", seconds, 2 * seconds, everyone - {0}, shape.limit, killed=0),
    ]


def _limit(shape: Shape, seconds: float) -> list[Phase]:
    everyone = frozenset(range(shape.workers))
    lowered = max(1, shape.limit * 2 // 5)
    return [
        Phase(f"limit {shape.limit}", 0, seconds, everyone, shape.limit),
        Phase(f"lowered to {lowered}", seconds, 2 * seconds, everyone, lowered),
        Phase(f"raised to {shape.limit}", 2 * seconds, 3 * seconds, everyone, shape.limit),
    ]


#: By the names on the command line, how a run goes, for a shape and a number of seconds for each phase.
SCENARIOS: Mapping[str, Scenario] = {
    "phases": _all_one_all,
    "late": _late,
    "killed": _killed,
    "limit": _limit,
}


def schedule(phases: Sequence[Phase], worker: int) -> list[tuple[float, float]]:
    """Return from when to when a worker is busy, in seconds after the start of the run."""
    busy: list[tuple[float, float]] = []
    for phase in phases:
        if worker not in phase.busy:
            continue
        begin = busy.pop()[0] if busy and busy[-1][1] == phase.begin else phase.begin
        busy.append((begin, phase.end))
    return busy
