"""A real RabbitMQ server in a temporary folder."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from servers.logged_process import LoggedProcess
from servers.own_server import OwnServer
from servers.ports import HOST

_CONFIGURATION = """\
listeners.tcp.1 = {host}:{port}
num_acceptors.tcp = 2
disk_free_limit.absolute = 1MB
vm_memory_high_watermark.absolute = 512MB
log.file = false
log.console = true
"""

# One scheduler thread is enough, and more take longer to start. The listener for other nodes of a cluster is on the
# loopback interface too.
_ERLANG_ARGUMENTS = "+S 1:1 -kernel inet_dist_use_interface {127,0,0,1}"


class RabbitMQNotFound(RuntimeError):
    """There is no ``rabbitmq-server`` on this machine."""


class RabbitMQFailed(RuntimeError):
    """RabbitMQ has ended, or is late; the message has the end of its log."""


class _PortMapper(LoggedProcess):
    """Erlang's ``epmd``, in the foreground: a node that finds none starts one as a daemon, which nothing ends."""

    failure = RabbitMQFailed
    ready = re.compile("epmd running")


class RabbitMQServer(OwnServer):
    """A RabbitMQ server, ready in a few seconds. Durable queues and persistent messages survive a ``kill`` or ``stop``.

    It shares nothing with a RabbitMQ that is installed as a service: node, cookie, queues and log are its own, no
    plugin is on, and it runs as the current user, even as root.

    :raises RabbitMQNotFound: when there is no ``rabbitmq-server`` on PATH.
    """

    failure = RabbitMQFailed
    ready = re.compile("Server startup complete")
    #: One for clients, one for other nodes, one for its port mapper.
    port_count = 3

    def __init__(self) -> None:
        self._program, self._epmd = _programs()
        self._port_mapper: _PortMapper | None = None
        super().__init__("rabbitmq")

    @property
    def url(self) -> str:
        """Its address, for Celery's ``broker_url``; every RabbitMQ has a user "guest"."""
        return f"amqp://guest:guest@{self.host}:{self.port}//"

    def close(self) -> None:
        """End the server if it runs, and remove its folder, for good. May be called again."""
        if self._port_mapper is not None and os.getpid() == self._owner:
            self._port_mapper.kill()
        super().close()

    def _configure(self) -> list[str]:
        folder = self.folder
        _, cluster_port, epmd_port = self.ports
        configuration = folder / "rabbitmq.conf"
        configuration.write_text(_CONFIGURATION.format(host=HOST, port=self.port))
        plugins = folder / "enabled_plugins"
        plugins.write_text("[].\n")
        self._env.update(
            # Erlang writes its cookie there.
            HOME=str(folder),
            ERL_EPMD_ADDRESS=HOST,
            ERL_EPMD_PORT=str(epmd_port),
            RABBITMQ_NODENAME=f"rabbit-{self.port}@localhost",
            RABBITMQ_DIST_PORT=str(cluster_port),
            RABBITMQ_CONF_ENV_FILE=str(folder / "none"),
            RABBITMQ_CONFIG_FILE=str(configuration),
            RABBITMQ_ENABLED_PLUGINS_FILE=str(plugins),
            RABBITMQ_MNESIA_BASE=str(folder / "data"),
            RABBITMQ_LOG_BASE=str(folder / "logs"),
            RABBITMQ_PID_FILE=str(folder / "pid"),
            RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=_ERLANG_ARGUMENTS,
        )
        if self._port_mapper is None:
            command = [self._epmd, "-d", "-address", HOST, "-port", str(epmd_port)]
            self._port_mapper = _PortMapper(command, log_file=folder / "epmd.log", cwd=folder)
        self._port_mapper.start()
        return [self._program]


def _programs() -> tuple[str, str]:
    """Return the paths of RabbitMQ's start script and of Erlang's port mapper."""
    script, epmd = shutil.which("rabbitmq-server"), shutil.which("epmd")
    if script is None or epmd is None:
        raise RabbitMQNotFound("no rabbitmq-server on PATH: apt-get install rabbitmq-server, or brew install rabbitmq")
    # Debian's is a wrapper that changes to the service's user; the script itself is in the same folder.
    resolved = Path(script).resolve()
    return str(resolved.with_name("rabbitmq-server")), epmd
