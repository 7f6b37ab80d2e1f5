"""Runs code in a fresh process, where nothing is imported or patched yet."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def run_fresh(code: str, timeout: float = 60) -> list[str]:
    """Run code in a fresh process, and return the lines that it prints. It may import from tests.support."""
    result = subprocess.run(
        # At the end of the path, the checkout hides no installed packages.
        [sys.executable, "-c", f"import sys; sys.path[:] = [*sys.path[1:], {str(ROOT)!r}]\n{textwrap.dedent(code)}"],
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()
