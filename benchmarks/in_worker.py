"""Measures in a real Celery worker."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from celery import Celery

from servers.broker import filesystem_broker
from servers.celery_worker import CeleryWorker, WorkerFailed
from servers.process import wait_until

from .contenders import Contender
from .ground import Ground, last_line, make_plan, timeout_for
from .results import Measurement, Plan
from .workloads import CONCURRENCY, Workload

# Messages between workers and to monitors have nothing to do with the database.
_ARGUMENTS = ("--without-gossip", "--without-mingle", "--without-heartbeat")
_QUEUE = "bench"


def measure_in_worker(
    ground: Ground, contender: Contender, workloads: Sequence[Workload], round_number: int, tasks: int
) -> Iterator[Measurement]:
    """Run the workloads one after the other in a worker; if it hangs or dies, the next ones have a new worker."""
    left = list(workloads)
    while left:
        for measurement in _measure(ground, contender, tuple(left), round_number, tasks):
            left.pop(0)
            yield measurement


def _measure(
    ground: Ground, contender: Contender, workloads: Sequence[Workload], round_number: int, tasks: int
) -> Iterator[Measurement]:
    """Run workloads in one worker until all are done, or one of them doesn't end."""
    plans = {workload.name: make_plan(workload, tasks) for workload in workloads}
    with (
        tempfile.TemporaryDirectory(prefix="geventpool-bench-") as name,
        ground.environment_for(contender, plans) as variables,
    ):
        folder = Path(name)
        worker, messages = make_worker(ground, contender, folder, variables)
        try:
            worker.start()
            for workload in workloads:
                ground.monitor.reset()
                has_ended = run_workload(worker, messages, workload, plans[workload.name])
                outcome = folder / f"{workload.name}.json"
                yield Measurement.take(
                    contender,
                    "worker",
                    workload,
                    round_number,
                    plan=plans[workload.name],
                    outcome=json.loads(outcome.read_text()) if has_ended else None,
                    peak=ground.monitor.peak,
                    note="" if has_ended else f"; the worker's log: {last_line(worker.log_file)}",
                )
                if not has_ended:
                    return
        except WorkerFailed:
            plan = plans[workloads[0].name]
            yield Measurement.take(
                contender,
                "worker",
                workloads[0],
                round_number,
                plan=plan,
                outcome=None,
                peak=ground.monitor.peak,
                note=f"; the worker did not start: {last_line(worker.log_file)}",
            )
        finally:
            # A worker that is asked to end takes seconds.
            worker.kill()


def make_worker(
    ground: Ground, contender: Contender, folder: Path, variables: Mapping[str, str]
) -> tuple[CeleryWorker, Path]:
    """Return a contender's worker, which is yet to be started, and the folder from which it takes messages.

    :param folder: for its files.
    :param variables: of its environment.
    """
    broker = filesystem_broker(folder / "broker")
    worker = CeleryWorker(
        "subject.worker",
        pool="gevent",
        concurrency=CONCURRENCY,
        cwd=folder,
        env={**variables, "BENCH_BROKER": json.dumps(broker), "BENCH_OUTCOMES": str(folder)},
        arguments=(*_ARGUMENTS, "-Q", _QUEUE),
        log_file=folder / "worker.log",
    )
    # The contender's Python, not this one.
    worker.command[0] = str(ground.environments.obtain(contender).python)
    return worker, Path(broker["broker_transport_options"]["data_folder_in"])


def run_workload(worker: CeleryWorker, messages: Path, workload: Workload, plan: Plan) -> bool:
    """Send the tasks as files in ``messages``; return whether all of them ended in time."""
    folder = worker.log_file.parent
    # The transport writes messages in place, where a worker could read half of one, and sending tasks takes as much CPU
    # as running them. So all are written elsewhere first, and then renamed.
    staging = filesystem_broker(folder / "staging")
    with Celery(set_as_current=False) as app:
        app.conf.update(staging)
        with app.producer_pool.acquire(block=True) as producer:
            for number in range(plan.total):
                app.send_task(f"bench.{workload.name}", (number,), queue=_QUEUE, producer=producer, ignore_result=True)
    for message in sorted(Path(staging["broker_transport_options"]["data_folder_out"]).iterdir()):
        message.rename(messages / message.name)
    outcome = folder / f"{workload.name}.json"
    wait_until(lambda: outcome.exists() or not worker.is_running, timeout_for(plan))
    return outcome.exists()
