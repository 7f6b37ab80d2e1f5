"""A real Redis server in a temporary folder."""

from __future__ import annotations

import re
import shutil

from servers.own_server import OwnServer


class RedisNotFound(RuntimeError):
    """There is no ``redis-server`` on this machine."""


class RedisServer(OwnServer):
    """A Redis server whose data survive a ``kill`` or ``stop``, and are there again after the next ``start``.

    :raises RedisNotFound: when there is no ``redis-server`` on PATH.
    """

    # It says so when it has loaded its data.
    ready = re.compile("Ready to accept connections")

    def __init__(self) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise RedisNotFound("no redis-server on PATH: apt-get install redis-server, or brew install redis")
        self._program = program
        super().__init__("redis")

    @property
    def url(self) -> str:
        """Its address, for Celery's ``broker_url``."""
        return f"redis://{self.host}:{self.port}/0"

    def _configure(self) -> list[str]:
        command = [self._program, "--bind", self.host, "--port", str(self.port), "--dir", str(self.folder)]
        return [*command, "--save", "", "--appendonly", "yes", "--appendfsync", "no"]
