"""Measures in a process without Celery."""

from __future__ import annotations

import json
import signal
import tempfile
from pathlib import Path
from typing import Any

from servers.process import OwnedProcess

from .contenders import Contender
from .ground import Ground, last_line, make_plan, timeout_for
from .results import Measurement, Plan
from .workloads import CONCURRENCY, Workload

_START_SECONDS = 15.0


def measure_in_process(
    ground: Ground, contender: Contender, workload: Workload, round_number: int, tasks: int
) -> Measurement:
    """Run a workload in a process of its own."""
    plan = make_plan(workload, tasks)
    outcome, peak, last = run_in_process(ground, contender, workload.name, plan)
    return Measurement.take(
        contender,
        "in process",
        workload,
        round_number,
        plan=plan,
        outcome=outcome,
        peak=peak,
        note="" if outcome is not None else f"; the process wrote: {last}",
    )


def run_in_process(
    ground: Ground, contender: Contender, workload: str, plan: Plan, concurrency: int = CONCURRENCY
) -> tuple[dict[str, Any] | None, int, str]:
    """Return the outcome of a process, None if there is none; its most connections; and the last line that it wrote."""
    timeout = timeout_for(plan)
    python = ground.environments.obtain(contender).python
    with (
        tempfile.TemporaryDirectory(prefix="geventpool-bench-") as name,
        ground.environment_for(contender, {workload: plan}, concurrency) as variables,
    ):
        output = Path(name) / "output"
        command = [str(python), "-m", "subject.in_process", workload, str(timeout)]
        process = OwnedProcess(command, log=output, cwd=Path(name), env=variables)
        try:
            process.wait(timeout + _START_SECONDS)
            peak = ground.monitor.peak
        finally:
            process.end(signal.SIGKILL, 0)
        last = last_line(output)
        return (json.loads(last) if last.startswith("{") else None), peak, last
