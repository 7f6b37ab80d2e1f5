"""One contender serves the jobs, in a process of its own."""

from __future__ import annotations

import json
import signal
import tempfile
from pathlib import Path

from servers.process import OwnedProcess

from ..contenders import Contender
from ..ground import Ground, last_line
from .options import FairnessOptions
from .summary import Fairness, Job, summarize

_START_SECONDS = 15.0
#: How many times as long as they should take jobs may take to end.
_PATIENCE = 3.0


def measure(ground: Ground, contender: Contender, options: FairnessOptions) -> Fairness:
    """Let the jobs come, and return how they were served.

    :raises RuntimeError: when the process has failed.
    """
    seconds = _PATIENCE * max(options.overload, 1.0) * options.seconds
    arrivals = {
        "jobs": options.jobs,
        "rate": options.rate,
        "query_seconds": options.query_seconds,
        "seconds": seconds,
    }
    with (
        tempfile.TemporaryDirectory(prefix="geventpool-bench-") as name,
        ground.environment_for(contender, {}) as variables,
    ):
        output = Path(name) / "output"
        python = ground.environments.obtain(contender).python
        process = OwnedProcess(
            [str(python), "-m", "subject.open_loop"],
            log=output,
            cwd=Path(name),
            env={**variables, "BENCH_ARRIVALS": json.dumps(arrivals)},
        )
        try:
            process.wait(options.seconds + seconds + _START_SECONDS)
            peak = ground.monitor.peak
        finally:
            process.end(signal.SIGKILL, 0)
        jobs = [Job(*json.loads(line)) for line in output.read_text().splitlines() if line.startswith("[")]
        if not jobs:
            raise RuntimeError(f"{contender.name}: {last_line(output)}")
    return summarize(contender.name, jobs, options.jobs, peak)
