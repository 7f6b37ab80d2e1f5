"""A TCP proxy that stalls and cuts connections on command."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import sys

from .helper import Helper


class Proxy(Helper):
    """A proxy to a server, in a process of its own; a context manager. It listens on 127.0.0.1, ``port``."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__("servers.proxy", host, str(port))
        self.port = int(self.greeting)

    def __enter__(self) -> Proxy:
        return self

    def freeze(self) -> None:
        """Pass nothing on, in either direction; new connections are accepted, but not answered."""
        self.ask("freeze")

    def thaw(self) -> None:
        """Pass on what has come in meanwhile, and everything from now on."""
        self.ask("thaw")

    def reset(self) -> None:
        """Reset all connections on both sides."""
        self.ask("reset")

    def drop(self) -> None:
        """Close all connections on both sides in an orderly way, as a proxy that is stopped does."""
        self.ask("drop")

    def cut_after(self, count: int) -> None:
        """Reset the next connection that passes a number of further bytes from the server, in mid-message."""
        self.ask(f"cut {count}")

    def strand(self) -> None:
        """Pass nothing on for the present connections, for good and without a word to anybody; new ones work."""
        self.ask("strand")

    def move(self, host: str, port: int) -> None:
        """Pass new connections to another server, as after a change in DNS; the present ones stay."""
        self.ask(f"move {host} {port}")

    def clients(self) -> int:
        """Return how many clients are connected to the proxy."""
        return int(self.ask("count"))

    def kept(self) -> int:
        """Return how many bytes from clients are not passed on yet."""
        return int(self.ask("kept"))


class _Forwarder:
    """The proxy itself, in its process."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._cut_after: int | None = None
        self._clients = 0
        self._kept = 0

    async def obey(self, order: str) -> str:
        name, _, argument = order.partition(" ")
        if name == "freeze":
            self._flowing.clear()
        elif name == "thaw":
            self._flowing.set()
        elif name == "reset":
            await self._end_all(abruptly=True)
        elif name == "drop":
            await self._end_all(abruptly=False)
        elif name == "cut":
            self._cut_after = int(argument)
        elif name == "strand":
            self._flowing.clear()
            self._flowing = asyncio.Event()
            self._flowing.set()
        elif name == "move":
            host, port = argument.split()
            self._target = (host, int(port))
        elif name == "kept":
            return str(self._kept)
        elif name != "count":
            raise ValueError(order)
        return str(self._clients)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients += 1
        pair = {writer}
        self._writers.add(writer)
        flowing = self._flowing
        try:
            await flowing.wait()
            server_reader, server_writer = await asyncio.open_connection(*self._target)
            pair.add(server_writer)
            self._writers.add(server_writer)
            pumps = [
                asyncio.create_task(self._pump(reader, server_writer, flowing, from_server=False)),
                asyncio.create_task(self._pump(server_reader, writer, flowing, from_server=True)),
            ]
            await asyncio.wait(pumps)
        except OSError:
            pass
        finally:
            self._clients -= 1
            for end in pair:
                self._writers.discard(end)
                end.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flowing: asyncio.Event, *, from_server: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                self._kept += 0 if from_server else len(data)
                await flowing.wait()
                self._kept -= 0 if from_server else len(data)
                if from_server and self._cut_after is not None:
                    if len(data) > self._cut_after:
                        writer.write(data[: self._cut_after])
                        await writer.drain()
                        self._cut_after = None
                        await self._end_all(abruptly=True)
                        return
                    self._cut_after -= len(data)
                writer.write(data)
                await writer.drain()
            await flowing.wait()
            writer.write_eof()

    async def _end_all(self, *, abruptly: bool) -> None:
        writers = list(self._writers)
        for writer in writers:
            if abruptly:
                end = writer.get_extra_info("socket")
                with contextlib.suppress(OSError):  # The connection has ended by itself.
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            else:
                writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)


async def main(host: str, port: str) -> None:
    """Pass on what comes to a free port, whose number is the first line of output, and obey orders from the input."""
    forwarder = _Forwarder(host, int(port))
    server = await asyncio.start_server(forwarder.accept, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while order := (await orders.readline()).decode().strip():
        print(await forwarder.obey(order), flush=True)
    # Its connections need no orderly end.
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
