"""A virtual environment for each set of requirements, as contenders need drivers that can't be used together."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .contenders import Contender

_TOP = Path(__file__).resolve().parent.parent
_PROJECT = Path(__file__).resolve().parent / "project"
_OUR_PACKAGES = ("celery_geventpool", "django_geventpool")

# Installed in every environment, in the version that this program has, so that all contenders have the same.
_COMMON = ("Django", "celery", "gevent", "greenlet", "kombu", "psutil")

#: The packages whose versions are reported.
_REPORTED = (
    *("Django", "celery", "kombu", "gevent", "greenlet", "psycopg2-binary", "psycopg", "psycopg-pool", "SQLAlchemy"),
    *("django-db-geventpool", "django-db-connection-pool", "django-pg-real-pool"),
)


@dataclass(frozen=True)
class Environment:
    """A Python with the packages that a contender needs."""

    python: Path
    #: Versions by package.
    packages: Mapping[str, str]


class Environments:
    """Makes the environments below a folder, once for each set of requirements, and copies our packages.

    The copy is measured, as the checkout may change meanwhile.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._made: dict[tuple[str, ...], Environment] = {}
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / ".gitignore").write_text("*\n")
        self._copy = self._folder / f"packages-{os.getpid()}"
        for package in _OUR_PACKAGES:
            shutil.copytree(_TOP / package, self._copy / package, ignore=shutil.ignore_patterns("__pycache__"))

    def close(self) -> None:
        """Remove the copy; the environments stay for the next run."""
        shutil.rmtree(self._copy, ignore_errors=True)

    @property
    def python_path(self) -> str:
        """The PYTHONPATH of contenders' processes."""
        return os.pathsep.join((str(_PROJECT), str(self._copy)))

    def obtain(self, contender: Contender) -> Environment:
        """Return a contender's environment, which is made if there is none.

        :raises RuntimeError: when pip fails.
        """
        common = (f"{name}=={importlib.metadata.version(name)}" for name in _COMMON)
        requirements = (*common, *contender.requirements)
        if requirements not in self._made:
            self._made[requirements] = self._make(requirements)
        return self._made[requirements]

    def versions(self) -> dict[str, str]:
        """Return the versions of the reported packages in all environments that were obtained."""
        found: dict[str, str] = {}
        for environment in self._made.values():
            found.update({name: environment.packages[name] for name in _REPORTED if name in environment.packages})
        return {name: found[name] for name in _REPORTED if name in found}

    def _make(self, requirements: tuple[str, ...]) -> Environment:
        key = hashlib.sha256(repr((sys.version, requirements)).encode()).hexdigest()[:12]
        folder = self._folder / f"env-{key}"
        python = folder / "bin" / "python"
        packages = folder / "packages.json"
        if not packages.exists():  # The file that is written last.
            _run(sys.executable, "-m", "venv", "--clear", str(folder))
            _run(str(python), "-m", "pip", "install", "--quiet", *requirements)
            found = json.loads(_run(str(python), "-m", "pip", "list", "--format=json"))
            packages.write_text(json.dumps({entry["name"]: entry["version"] for entry in found}))
        return Environment(python, json.loads(packages.read_text()))


def _run(*command: str) -> str:
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}\n{result.stdout}{result.stderr}")
    return result.stdout
