"""One run of a simulation: what came of it, or where it failed and how to repeat it."""

from __future__ import annotations

import gc
from dataclasses import dataclass

from .world import World

#: How many steps a world takes with faults, unless told otherwise.
STEPS = 15_000


class Failure(AssertionError):
    """A simulation has failed; the message says how to repeat it.

    :param step: at which step.
    """

    def __init__(self, message: str, step: int) -> None:
        super().__init__(message)
        self.step = step


@dataclass(frozen=True)
class Outcome:
    """What came of a run; the same for the same seed and steps."""

    steps: int
    digest: int
    seconds: float
    served: int
    timeouts: int
    errors: int
    sessions: int
    refused: int
    looks: int

    def __str__(self) -> str:
        return (
            f"{self.steps} steps, {self.digest:016x}, {self.seconds:.0f} simulated seconds, {self.served} served, "
            f"{self.timeouts} timeouts, {self.errors} errors, {self.sessions} sessions, {self.refused} refused, "
            f"{self.looks} looks"
        )


def simulate(seed: int, steps: int = STEPS) -> Outcome:
    """Run the world of a seed to its end.

    :raises Failure: if a law was broken, or something else went wrong.
    """
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()  # What it finds, and when, is repeated by no seed.
    try:
        world = World(seed)
        with world.framework.installed():
            try:
                world.run(steps)
                world.come_to_an_end()
            except Exception as error:
                raise Failure(_describe(world, steps, error), world.scheduler.steps) from error
            finally:
                world.end()
        return _outcome(world)
    finally:
        if was_enabled:
            gc.enable()


def _describe(world: World, steps: int, error: Exception) -> str:
    scheduler = world.scheduler
    return "\n".join(
        [
            f"{type(error).__name__}: {error}",
            *(f"    {step:>7} {now - 1000:>11.6f} {event}" for step, now, event in scheduler.trace),
            *(f"    {process}" for process in world.alive()),
            f"{world.plan}",
            f"step {scheduler.steps}, repeated by: python -m tests.simulation --seed {world.seed} --steps {steps}",
        ]
    )


def _outcome(world: World) -> Outcome:
    counted = [process.counted for process in world.processes]
    return Outcome(
        steps=world.scheduler.steps,
        digest=world.scheduler.digest,
        seconds=world.scheduler.now - 1000,
        served=sum(each.served for each in counted),
        timeouts=sum(each.timeouts for each in counted),
        errors=sum(each.errors for each in counted),
        sessions=world.server.accepted,
        refused=world.server.refused,
        looks=world.server.looks,
    )
