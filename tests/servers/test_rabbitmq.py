"""A real RabbitMQ server, if it is installed."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from kombu import Connection

from servers.rabbitmq import RabbitMQNotFound, RabbitMQServer
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def server() -> Iterator[RabbitMQServer]:
    try:
        server = RabbitMQServer()
    except RabbitMQNotFound as error:
        pytest.skip(str(error))
    with server:
        yield server


def processes_that_know(text: str) -> list[int]:
    """Return the processes of this machine with a text in their environment or command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            known = (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if text.encode() in known:
            found.append(int(folder.name))
    return found


def listeners(port: int) -> set[str]:
    """Return the addresses on which a port is listened on, in the system's hexadecimal form."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    sockets = [line.split() for line in lines]
    return {
        local.partition(":")[0]
        for _, local, _, state, *_ in sockets
        if state == "0A" and local.endswith(f":{port:04X}")
    }


def test_what_it_was_told_survives_a_kill(server: RabbitMQServer) -> None:
    port = server.port
    with Connection(server.url, transport_options={"confirm_publish": True}) as connection:
        queue = connection.SimpleQueue("kept")
        queue.put("value")
        queue.close()
    server.kill()
    assert not server.is_running
    server.start()
    assert server.is_running
    assert server.port == port
    with Connection(server.url) as connection:
        queue = connection.SimpleQueue("kept")
        assert queue.get(timeout=10).payload == "value"
        queue.close()


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="this system has no /proc")
def test_it_listens_on_the_loopback_interface_only(server: RabbitMQServer) -> None:
    for port in server.ports:
        assert listeners(port) == {"0100007F"}


def test_it_stops_when_asked_and_nothing_is_left_of_a_closed_one(server: RabbitMQServer) -> None:
    assert server.stop() == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((server.host, server.port), timeout=1)
    server.close()
    assert not server.folder.exists()
    if Path("/proc/self/environ").exists():
        eventually(lambda: not processes_that_know(str(server.folder)), "no process of it")


def test_without_a_program_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RabbitMQNotFound, match="rabbitmq-server on PATH: apt-get install rabbitmq-server"):
        RabbitMQServer()
