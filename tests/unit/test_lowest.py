"""``tox -e lowest`` runs with the lower bounds of the package's requirements."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
EXTRAS = ("gevent", "eventlet", "psycopg", "psycopg2", "top", "prometheus", "opentelemetry")


def bounds() -> dict[str, str]:
    """Return the lower bounds by distribution, of requirements and extras."""
    # Before Python 3.11, pytest installs tomli, from which the standard library's tomllib was made.
    toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    project = toml.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = [*project["dependencies"]]
    for extra in EXTRAS:
        requirements += project["optional-dependencies"][extra]
    return dict(re.findall(r"^([\w-]+)(?:\[\w+\])?>=([\w.]+)$", "\n".join(requirements).lower(), re.MULTILINE))


def test_each_requirement_is_pinned_to_its_lower_bound() -> None:
    pins = dict(re.findall(r"^([\w-]+)==([\w.]+)$", (ROOT / "tests" / "lowest.txt").read_text().lower(), re.MULTILINE))
    assert pins.pop("psycopg-binary") == pins["psycopg"]
    wanted = bounds()
    assert pins.keys() == wanted.keys()
    for name, bound in wanted.items():
        assert f"{pins[name]}.".startswith(f"{bound}."), f"{name}: pinned to {pins[name]}, but {bound} is allowed"
