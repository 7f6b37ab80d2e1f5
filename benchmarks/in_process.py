"""Measures in a process without Celery."""

from __future__ import annotations

import json
import signal
import tempfile
from pathlib import Path

from servers.process import OwnedProcess

from .contenders import Contender
from .ground import Ground, last_line, make_plan, timeout_for
from .results import Measurement
from .workloads import Workload

_START_SECONDS = 15.0


def measure_in_process(
    ground: Ground, contender: Contender, workload: Workload, round_number: int, tasks: int
) -> Measurement:
    """Run a workload in a process of its own."""
    plan = make_plan(workload, tasks)
    timeout = timeout_for(plan)
    python = ground.environments.obtain(contender).python
    with (
        tempfile.TemporaryDirectory(prefix="geventpool-bench-") as name,
        ground.environment_for(contender, {workload.name: plan}) as variables,
    ):
        output = Path(name) / "output"
        command = [str(python), "-m", "subject.in_process", workload.name, str(timeout)]
        process = OwnedProcess(command, log=output, cwd=Path(name), env=variables)
        try:
            process.wait(timeout + _START_SECONDS)
            peak = ground.monitor.peak
        finally:
            process.end(signal.SIGKILL, 0)
        lines = output.read_text(errors="replace").splitlines()
        is_complete = bool(lines) and lines[-1].startswith("{")
        return Measurement.take(
            contender,
            "in process",
            workload,
            round_number,
            plan=plan,
            outcome=json.loads(lines[-1]) if is_complete else None,
            peak=peak,
            note="" if is_complete else f"; the process wrote: {last_line(output)}",
        )
