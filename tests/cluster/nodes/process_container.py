"""A local process that pytest-celery uses as a container."""

from __future__ import annotations

import secrets
import signal as signals
from typing import Any, Literal, Protocol

from pytest_celery import CeleryTestContainer
from pytest_docker_tools.exceptions import ContainerFailed

from servers.process import wait_until


class Program(Protocol):
    """A server or worker that can be started again after its end, as those of the package ``servers`` can."""

    @property
    def is_running(self) -> bool: ...

    @property
    def log(self) -> str: ...

    def start(self) -> None:
        """Start it, and return when it is ready."""

    def kill(self) -> None:
        """End it, and its children, at once."""

    def send_signal(self, signum: int) -> None:
        """Send a signal to its main process."""


def new_id() -> str:
    """Return an id like those that Docker gives to containers."""
    return secrets.token_hex(32)


class ProcessContainer(CeleryTestContainer):  # type: ignore[misc]
    """A program on this machine with the interface of a container that pytest-celery uses.

    Making it starts the program. Like a container, it keeps its log and its port when it is killed or restarted; its
    maker calls ``remove`` at the end. It can't execute commands, and has no files of its own.
    """

    def __init__(self, program: Program, name: str, container_id: str | None = None) -> None:
        # Not the base class's constructor, which wraps an object of Docker's client.
        self.program = program
        self._name = name
        self._id = container_id or new_id()
        self.start()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} {self.short_id} {self.status}>"

    @property
    def id(self) -> str:
        return self._id

    @property
    def short_id(self) -> str:
        return self._id[:12]

    @property
    def name(self) -> str:
        return self._name

    @property
    def status(self) -> Literal["running", "exited"]:
        return "running" if self.program.is_running else "exited"

    @property
    def attrs(self) -> dict[str, Any]:
        return {
            "Id": self.id,
            "Name": f"/{self.name}",
            "Config": {"Hostname": self.short_id},
            "State": {"Status": self.status, "Running": self.program.is_running},
        }

    def reload(self) -> None:
        """Do nothing: the state is always up to date."""

    def ready(self) -> bool:
        """Return whether the program runs: its start waited until it was ready."""
        if self.status == "exited":
            raise ContainerFailed(self, f"{self.name} has ended:\n{self.logs()[-2000:]}")
        return True

    def logs(self) -> str:
        return self.program.log

    def start(self) -> None:
        self.program.start()

    def kill(self, signal: str | int | None = None) -> None:
        """Send a signal, by default SIGKILL; wait for the end after SIGKILL only."""
        number = signals.Signals[signal] if isinstance(signal, str) else signals.Signals(signal or signals.SIGKILL)
        if number is signals.SIGKILL:
            self.program.kill()
        else:
            self.program.send_signal(number)

    def restart(self, timeout: float = 10) -> None:
        """End the program, by SIGKILL after ``timeout`` seconds, then start it."""
        self.program.send_signal(signals.SIGTERM)
        wait_until(lambda: not self.program.is_running, timeout)
        self.program.kill()
        self.program.start()

    def remove(self, *_args: object, **_kwargs: object) -> None:
        """End the program."""
        self.program.kill()
