"""Runs a contender under the profiler, in process or in a worker."""

from __future__ import annotations

import json
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from servers.process import OwnedProcess

from ..contenders import Contender
from ..ground import Ground, last_line, make_plan, timeout_for
from ..in_worker import make_worker, run_workload
from ..workloads import Place, Workload
from . import sampler
from .parts import Profile, read

#: How long the profiler may take to write, and a process to start, in seconds.
_PATIENCE = 60.0


@dataclass(frozen=True)
class Run:
    """A profile, and what a task has cost meanwhile."""

    contender: Contender
    place: Place
    workload: Workload
    profile: Profile
    cpu_microseconds_per_task: float


def profile_in_process(
    ground: Ground, contender: Contender, workload: Workload, tasks: int, rate: int, stacks: Path
) -> Run:
    """Profile greenlets without Celery.

    :param stacks: the file for the sampled stacks, from which other programs make flame graphs.
    :raises RuntimeError: if the tasks don't end, or some fail.
    """
    plan = make_plan(workload, tasks)
    timeout = timeout_for(plan)
    python = ground.environments.obtain(contender).python
    with (
        tempfile.TemporaryDirectory(prefix="geventpool-bench-") as name,
        ground.environment_for(contender, {workload.name: plan}) as variables,
    ):
        output = Path(name) / "output"
        command = [str(python), "-m", "subject.in_process", workload.name, str(timeout)]
        process = OwnedProcess([*sampler.command(stacks, rate), *command], log=output, cwd=Path(name), env=variables)
        try:
            process.wait(timeout + _PATIENCE)
        finally:
            process.end(signal.SIGKILL, 0)
        outcomes = [line for line in output.read_text(errors="replace").splitlines() if line.startswith("{")]
        if not outcomes:
            raise RuntimeError(f"{contender.name}: {last_line(output)}")
        return _run(contender, "in process", workload, json.loads(outcomes[-1]), plan.tasks, stacks)


def profile_in_worker(
    ground: Ground, contender: Contender, workload: Workload, tasks: int, rate: int, stacks: Path
) -> Run:
    """Profile a real worker; see ``profile_in_process``."""
    plan = make_plan(workload, tasks)
    with (
        tempfile.TemporaryDirectory(prefix="geventpool-bench-") as name,
        ground.environment_for(contender, {workload.name: plan}) as variables,
    ):
        folder = Path(name)
        worker, messages = make_worker(ground, contender, folder, variables)
        worker.command[:0] = sampler.command(stacks, rate)
        try:
            worker.start()
            has_ended = run_workload(worker, messages, workload, plan)
        except BaseException:
            worker.kill()
            raise
        # The profiler is what gets the signal. It writes, and leaves the worker to be killed.
        worker.send_signal(signal.SIGINT)
        worker.wait(_PATIENCE)
        worker.kill()
        if not has_ended:
            raise RuntimeError(f"{contender.name}: {last_line(worker.log_file)}")
        outcome = json.loads((folder / f"{workload.name}.json").read_text())
        return _run(contender, "worker", workload, outcome, plan.tasks, stacks)


def _run(
    contender: Contender, place: Place, workload: Workload, outcome: dict[str, Any], tasks: int, stacks: Path
) -> Run:
    if outcome["errors"]:
        raise RuntimeError(f"{contender.name}: {outcome['errors']}")
    with stacks.open() as lines:
        profile = read(lines)
    return Run(contender, place, workload, profile, outcome["cpu_seconds"] / tasks * 1e6)
