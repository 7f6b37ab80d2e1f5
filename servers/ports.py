"""Ports of this machine for servers that can't pick one themselves."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack

HOST = "127.0.0.1"

# Below the range of outgoing connections: a client's attempt to reconnect could take the port of a server that is being
# restarted.
_PORTS = range(10000, 30000)


def free_ports(count: int) -> list[int]:
    """Return different TCP ports of 127.0.0.1 on which nothing listens now."""
    ports: list[int] = []
    with ExitStack() as held:
        while len(ports) < count:
            probe = held.enter_context(socket.socket())
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            port = random.choice(_PORTS)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            ports.append(port)
    return ports
