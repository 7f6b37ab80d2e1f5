"""The standard library of the Python that runs this."""

from __future__ import annotations

import sysconfig
from pathlib import Path

_NOT_STANDARD = {"site-packages", "dist-packages"}


def find_modules() -> dict[str, Path]:
    """Every source file of the standard library by its relative path, such as "json/decoder.py".

    The library's own tests are among them, where they are installed.
    """
    modules: dict[str, Path] = {}
    for scheme in ("stdlib", "platstdlib"):
        root = Path(sysconfig.get_path(scheme))
        for file in sorted(root.rglob("*.py")):
            path = file.relative_to(root)
            if file.is_file() and _NOT_STANDARD.isdisjoint(path.parts):
                modules.setdefault(path.as_posix(), file)
    return modules
