"""The sampling profiler, py-spy, around a process.

It reads the memory of the process from outside, and stops it for that moment: nothing runs in the process that could
change what is measured, and it sees the stack of the greenlet that is running. A profiler inside the process is called
at each function, which makes small functions, of which a checkout is made, look more expensive than they are.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path


class NoProfiler(RuntimeError):
    """The profiler isn't installed."""


def command(output: Path, rate: int) -> list[str]:
    """Return what to put before the command of a process, so that its stacks are written to a file at its end.

    :param rate: samples a second.
    :raises NoProfiler: if it isn't installed.
    """
    beside = Path(sys.executable).parent / "py-spy"
    found = str(beside) if beside.exists() else shutil.which("py-spy")
    if found is None:
        raise NoProfiler("`pip install py-spy` first: this environment has no `py-spy`.")
    return [found, "record", "--format", "raw", "--nolineno", "--rate", str(rate), "--output", str(output), "--"]
