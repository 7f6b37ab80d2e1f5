"""One measurement: a number of greenlets take tasks, all but ten of which wait for a connection."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from servers.celery_worker import CeleryWorker, WorkerFailed
from servers.process import wait_until

from ..contenders import Contender
from ..ground import Ground, last_line, timeout_for
from ..in_process import run_in_process
from ..results import Plan
from ..workloads import Place
from .summary import Point

# Messages between workers and to monitors have nothing to do with the database.
_ARGUMENTS = ("--without-gossip", "--without-mingle", "--without-heartbeat", "-Q", "bench")


def measure(
    ground: Ground, contender: Contender, place: Place, workload: str, *, greenlets: int, tasks: int, sent: int
) -> Point:
    """Run tasks in a process of their own, and measure those in the middle.

    :param sent: how many messages a worker has in its memory at the start.
    """
    if place == "in process":
        plan = Plan(warm_up=greenlets, tasks=tasks, cool_down=greenlets)
        outcome, peak, last = run_in_process(ground, contender, workload, plan, greenlets)
    else:
        # The worker is killed when they have ended: there are more behind them.
        plan = Plan(warm_up=greenlets, tasks=tasks, cool_down=0)
        outcome, peak, last = _run_in_worker(ground, contender, workload, plan, greenlets, sent)
    return Point.take(contender.name, place, greenlets, plan, outcome, peak, last)


def _run_in_worker(
    ground: Ground, contender: Contender, workload: str, plan: Plan, greenlets: int, sent: int
) -> tuple[dict[str, Any] | None, int, str]:
    with (
        tempfile.TemporaryDirectory(prefix="geventpool-bench-") as name,
        ground.environment_for(contender, {workload: plan}, greenlets) as variables,
    ):
        folder = Path(name)
        # A broker elsewhere would keep ten thousand greenlets from being at work at once: a message takes as long to
        # fetch as a task to run. So the messages are in the worker's memory before the first one is taken.
        variables |= {
            "BENCH_BROKER": json.dumps({"broker_url": "memory://"}),
            "BENCH_OUTCOMES": name,
            "BENCH_SENT": str(sent),
        }
        worker = CeleryWorker(
            "subject.worker",
            pool="gevent",
            concurrency=greenlets,
            cwd=folder,
            env=variables,
            arguments=_ARGUMENTS,
            log_file=folder / "worker.log",
        )
        worker.command[0] = str(ground.environments.obtain(contender).python)
        outcome = folder / f"{workload}.json"
        try:
            worker.start()
            wait_until(lambda: outcome.exists() or not worker.is_running, timeout_for(plan) + sent / 1000)
        except WorkerFailed:
            pass  # Its log is shown.
        finally:
            worker.kill()
        has_ended = outcome.exists()
        return (
            json.loads(outcome.read_text()) if has_ended else None,
            ground.monitor.peak,
            "" if has_ended else last_line(worker.log_file),
        )
