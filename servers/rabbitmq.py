"""A real RabbitMQ server in a temporary folder."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from servers.logged_process import LoggedProcess
from servers.ports import HOST, free_ports

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


class RabbitMQServer(LoggedProcess):
    """A RabbitMQ server of its own on a free port of 127.0.0.1; a context manager.

    It shares nothing with a RabbitMQ that is installed as a service: node, cookie, queues and log are its own, no
    plugin is on, and it runs as the current user, root too. Durable queues and persistent messages survive a `kill` or
    `stop` and are there again after the next `start`, on the same port.

    It ends with the `with` block, `close()`, or the death of its owner.

    Raises RabbitMQNotFound when there is no `rabbitmq-server` on PATH.
    """

    failure = RabbitMQFailed
    ready = re.compile("Server startup complete")

    def __init__(self) -> None:
        program, epmd = _programs()
        self.host = HOST
        #: Where it listens: for clients, for other nodes, and its port mapper.
        self.ports = free_ports(3)
        self.port, cluster_port, epmd_port = self.ports
        self._temporary_folder = tempfile.TemporaryDirectory(prefix="rabbitmq-")
        #: Everything that it writes.
        self.folder = folder = Path(self._temporary_folder.name)
        configuration = folder / "rabbitmq.conf"
        configuration.write_text(_CONFIGURATION.format(host=HOST, port=self.port))
        plugins = folder / "enabled_plugins"
        plugins.write_text("[].\n")
        env = {
            # Erlang writes its cookie there.
            "HOME": str(folder),
            "ERL_EPMD_ADDRESS": HOST,
            "ERL_EPMD_PORT": str(epmd_port),
            "RABBITMQ_NODENAME": f"rabbit-{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(cluster_port),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
            "RABBITMQ_CONFIG_FILE": str(configuration),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "logs"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _ERLANG_ARGUMENTS,
        }
        command = [epmd, "-d", "-address", HOST, "-port", str(epmd_port)]
        self._port_mapper = _PortMapper(command, log_file=folder / "epmd.log", cwd=folder)
        super().__init__([program], log_file=folder / "log", cwd=folder, env=env)

    def __enter__(self) -> RabbitMQServer:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<RabbitMQServer {'running' if self.is_running else 'stopped'} on {self.host}:{self.port}>"

    @property
    def url(self) -> str:
        """Where it is, as Celery's `broker_url` takes it; "guest" is a user of every RabbitMQ."""
        return f"amqp://guest:guest@{self.host}:{self.port}//"

    def start(self) -> None:
        """Start the server and return when it takes connections, in some seconds; does nothing when it runs.

        Raises RabbitMQFailed with the end of the server's log when it doesn't come up.
        """
        self._port_mapper.start()
        super().start()

    def close(self) -> None:
        """End the server if it runs, and remove its folder. May be called again."""
        self.kill()
        self._port_mapper.kill()
        self._temporary_folder.cleanup()


def _programs() -> tuple[str, str]:
    """RabbitMQ's start script, and Erlang's port mapper."""
    script, epmd = shutil.which("rabbitmq-server"), shutil.which("epmd")
    if script is None or epmd is None:
        raise RabbitMQNotFound("no rabbitmq-server on PATH: apt-get install rabbitmq-server, or brew install rabbitmq")
    # Debian's is a wrapper that changes to the user of the service; the script itself is beside it.
    resolved = Path(script).resolve()
    return str(resolved.with_name("rabbitmq-server")), epmd
