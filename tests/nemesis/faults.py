"""Which faults a run meets, and when: all of it follows from a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

Kind = Literal["kill", "pause", "restart", "freeze", "reset", "limit", "promote"]

#: How often each kind comes, in proportion. The servers change their roles once in a run.
_WEIGHTS: dict[Kind, int] = {"kill": 3, "pause": 3, "restart": 1, "freeze": 2, "reset": 2, "limit": 4}
#: From and to how long each lasts (seconds): until a killed worker is started again, a stopped one goes on, a frozen
#: network passes data again.
_LASTING: dict[Kind, tuple[float, float]] = {"kill": (0.0, 2.0), "pause": (0.5, 4.0), "freeze": (0.2, 4.0)}
#: Between the begins of two faults (seconds).
_PAUSE = (0.5, 3.0)
#: Kinds that may break connections.
BREAKING: frozenset[Kind] = frozenset({"restart", "reset", "promote"})


@dataclass(frozen=True)
class Fault:
    """One of them."""

    kind: Kind
    #: In seconds after the start of the run.
    begin: float
    end: float
    #: The number of the worker that is killed or stopped, or the new limit.
    value: int = 0

    def __str__(self) -> str:
        value = {"kill": f" worker {self.value}", "pause": f" worker {self.value}", "limit": f" {self.value}"}
        lasting = f" for {self.end - self.begin:.1f} s" if self.end > self.begin else ""
        return f"{self.begin:.1f} s: {self.kind}{value.get(self.kind, '')}{lasting}"


def plan_faults(seed: int, seconds: float, *, workers: int, with_standby: bool) -> list[Fault]:
    """Return the faults of a run, in order of their begins. All end within ``seconds``, and none meets itself."""
    chance = random.Random(seed)
    faults: list[Fault] = []
    promotion = chance.uniform(seconds / 3, seconds / 2) if with_standby else None
    begin = chance.uniform(*_PAUSE)
    while begin < seconds:
        if promotion is not None and begin >= promotion:
            promotion = None
            faults.append(Fault("promote", begin, begin))
        else:
            fault = _draw(chance, begin, seconds, workers)
            if not any(fault.kind == other.kind and fault.begin <= other.end for other in faults):
                faults.append(fault)
        begin += chance.uniform(*_PAUSE)
    return faults


def _draw(chance: random.Random, begin: float, seconds: float, workers: int) -> Fault:
    kind = chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
    end = min(begin + chance.uniform(*_LASTING.get(kind, (0.0, 0.0))), seconds)
    value = chance.randint(workers // 2, 3 * workers) if kind == "limit" else chance.randrange(workers)
    return Fault(kind, begin, end, value)
