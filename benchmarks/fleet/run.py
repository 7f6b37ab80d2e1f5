"""One run: a fleet goes through the phases of a scenario."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from servers.pgbouncer import PgBouncer
from servers.redis import RedisServer

from .contenders import Contender
from .ground import ROLE, Ground
from .scenarios import Phase, Shape, schedule
from .statistics import Counts, Figures, Sample, measure
from .watch import SessionWatch
from .workers import Kind, Workers

#: How long workers go on after the last phase, so that what they then run ends (seconds).
_AFTER = 1.0
_END_SECONDS = 15.0


@dataclass(frozen=True)
class Run:
    """What came out of it."""

    contender: Contender
    shape: Shape
    scenario: str
    phases: Sequence[Figures]
    #: The server's transactions that were no tasks, such as questions about others, for each worker and second.
    further_statements: float


def run_fleet(
    ground: Ground, kind: Kind, shape: Shape, scenario: str, phases: Sequence[Phase], *, with_celery: bool = False
) -> Run:
    """Start the workers of a shape, let them go through the phases, and measure.

    :param with_celery: whether they are Celery workers, with a Redis server as broker.
    :raises RuntimeError: when workers don't start or don't end.
    """
    ground.wait_for_none()
    ground.set_limit(phases[0].limit)
    before = ground.count()
    dsn = ground.dsn
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="geventpool-fleet-")))
        if kind.contender.mode is None:
            pooler = PgBouncer(dsn, pool_mode="transaction", size=shape.limit)
            dsn = {**dsn, "port": stack.enter_context(pooler).port}
        if with_celery:
            kind = replace(kind, broker_url=stack.enter_context(RedisServer()).url)
        workers = stack.enter_context(Workers(folder, dsn))
        end = phases[-1].end + _AFTER
        for number in range(shape.workers):
            workers.launch(number, kind, schedule(phases, number), end)
        workers.wait_until_ready(range(shape.workers))
        watch = stack.enter_context(SessionWatch(ground.superuser_dsn, ROLE))
        start = workers.begin()
        counts = _go_through(ground, workers, phases, start)
        late = workers.wait(end - (time.monotonic() - start) + _END_SECONDS)
        if late:
            raise RuntimeError(f"workers have not ended: {late}")
        tasks = [task for number in range(shape.workers) for task in workers.tasks(number)]
    ground.wait_for_none()
    further = (ground.count() - before).transactions - sum(task.is_done for task in tasks)
    samples = [Sample(sample.at - start, sample.sessions) for sample in watch.samples]
    figures = [
        measure(phase, shape, kind.query_seconds, tasks, samples, its_counts)
        for phase, its_counts in zip(phases, counts, strict=True)
    ]
    return Run(kind.contender, shape, scenario, figures, further / (shape.workers * end))


def _go_through(ground: Ground, workers: Workers, phases: Sequence[Phase], start: float) -> list[Counts]:
    """Make what happens between the phases happen; return what the server counted in each of them."""
    limit, marks = phases[0].limit, []
    for phase in phases:
        time.sleep(max(0.0, start + phase.begin - time.monotonic()))
        if phase.killed is not None:
            workers.kill(phase.killed)
        if phase.limit != limit:
            limit = phase.limit
            ground.set_limit(limit)
        marks.append(ground.count())
    time.sleep(max(0.0, start + phases[-1].end - time.monotonic()))
    marks.append(ground.count())
    return [after - before for before, after in itertools.pairwise(marks)]
