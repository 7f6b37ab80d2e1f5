"""The machine, time and versions of a run."""

from __future__ import annotations

import datetime
import os
import platform
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from servers.pgbouncer import pgbouncer_version
from servers.postgres import PostgresServer

from .environments import Environments

_TOP = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Machine:
    """What a run was measured on."""

    date: str
    cpus: int
    cpu_model: str
    #: The load average at the start: a high one means that the machine was busy.
    load: float
    system: str
    #: Of Python, packages and servers, by name.
    versions: dict[str, str]

    def __str__(self) -> str:
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return (
            f"{self.date}, {self.cpus} CPUs ({self.cpu_model}), {self.system}, load {self.load:.1f} at the start. "
            f"{versions}."
        )


def describe_machine(server: PostgresServer, environments: Environments, pgbouncer: str | None, load: float) -> Machine:
    """Return the description of the machine, the server and the environments.

    :param pgbouncer: the path of the program; None if it isn't used.
    """
    versions = {"celery-geventpool": revision(), "Python": platform.python_version(), **environments.versions()}
    versions["PostgreSQL"] = server.query("SHOW server_version")[0][0]
    if pgbouncer is not None:
        versions["PgBouncer"] = pgbouncer_version(pgbouncer)
    return Machine(
        date=datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        cpus=os.cpu_count() or 1,
        cpu_model=_cpu_model(),
        load=load,
        system=f"{platform.system()} {platform.machine()}",
        versions=versions,
    )


def _cpu_model() -> str:
    try:
        match = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        match = None
    return match[1] if match else platform.processor() or "unknown model"


def revision() -> str:
    """Return the commit of the checkout, with a mark if files were changed since."""
    command = ["git", "describe", "--always", "--dirty", "--tags"]
    try:
        result = subprocess.run(command, cwd=_TOP, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown revision"
    return result.stdout.strip()
