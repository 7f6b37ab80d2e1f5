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

# One thread that runs Erlang is enough, and more of them take longer to start. Nodes of a cluster would find each
# other through another listener.
_ERLANG_ARGUMENTS = "+S 1:1 -kernel inet_dist_use_interface {127,0,0,1}"


class RabbitMQNotFound(RuntimeError):
    """There is no rabbitmq-server on the machine."""


class RabbitMQFailed(RuntimeError):
    """RabbitMQ ended, or was not in time; the message has the end of its log."""


class _PortMapper(LoggedProcess):
    """Erlang's `epmd`, in the foreground.

    Where a node finds none it starts one, as a daemon that nobody ends.
    """

    failure = RabbitMQFailed
    ready = re.compile("epmd running")


class RabbitMQServer(OwnServer):
    """A RabbitMQ server, in some seconds. Durable queues and persistent messages survive a `kill` or `stop`.

    It shares nothing with a RabbitMQ that is installed as a service: node, cookie, queues and log are its own, no
    plugin is on, and it runs as the current user, root too.

    Raises RabbitMQNotFound when there is no `rabbitmq-server` on PATH.
    """

    failure = RabbitMQFailed
    ready = re.compile("Server startup complete")
    #: For clients, for other nodes, and of its port mapper.
    port_count = 3

    def __init__(self) -> None:
        self._program, self._epmd = _programs()
        self._port_mapper: _PortMapper | None = None
        super().__init__("rabbitmq")

    @property
    def url(self) -> str:
        """Where it is, as Celery's `broker_url` takes it; "guest" is a user of every RabbitMQ."""
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
    """RabbitMQ's start script, and Erlang's port mapper."""
    script, epmd = shutil.which("rabbitmq-server"), shutil.which("epmd")
    if script is None or epmd is None:
        raise RabbitMQNotFound("no rabbitmq-server on PATH: apt-get install rabbitmq-server, or brew install rabbitmq")
    # Debian's is a wrapper that changes to the user of the service; the script itself is beside it.
    resolved = Path(script).resolve()
    return str(resolved.with_name("rabbitmq-server")), epmd
