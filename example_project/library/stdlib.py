"""The standard library of the Python that runs this."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

_NOT_STANDARD = {"site-packages", "dist-packages"}


def find_modules() -> dict[str, Path]:
    """Return the source files of the standard library by relative path, such as "json/decoder.py".

    The library's own tests are included where they are installed.
    """
    modules: dict[str, Path] = {}
    for scheme in ("stdlib", "platstdlib"):
        root = Path(sysconfig.get_path(scheme))
        for folder, subfolders, names in os.walk(root):
            subfolders[:] = sorted(set(subfolders) - _NOT_STANDARD)
            for name in sorted(names):
                file = Path(folder, name)
                if file.suffix == ".py" and file.is_file():
                    modules.setdefault(file.relative_to(root).as_posix(), file)
    return modules
