"""A front end that speaks PostgreSQL's protocol, and can refuse or change messages."""

from __future__ import annotations

import asyncio
import contextlib
import struct
import sys

from servers.helper import Helper

#: Requests for encryption before the start-up message; they are answered with no.
_ENCRYPTION_REQUESTS = (80877103, 80877104)
_CANCEL_REQUEST = 80877102


class FrontEnd(Helper):
    """A front end of a server, in a process of its own; a context manager. It listens on 127.0.0.1, ``port``.

    It passes everything on until it is told otherwise.
    """

    def __init__(self, host: str, port: int) -> None:
        super().__init__("tests.support.front_end", host, str(port))
        self.port = int(self.greeting)

    def __enter__(self) -> FrontEnd:
        return self

    def refuse_options(self, words: str, *, hang_up_after: float = 0) -> None:
        """Refuse whoever comes with start-up options, with an error of these words; hang up so many seconds later."""
        self.ask(f"refuse {hang_up_after} {words}")

    def take_options(self) -> None:
        """Pass start-up options on again."""
        self.ask("take")

    def hide(self, parameter: str) -> None:
        """Withhold the server's reports of a parameter from clients that connect from now on."""
        self.ask(f"hide {parameter}")

    def report(self, parameter: str, value: str) -> None:
        """Report a parameter's change to all clients, as a server does, or a pooler that gives them another server."""
        self.ask(f"report {parameter} {value}")

    def move(self, host: str, port: int) -> None:
        """Connect new clients to another server."""
        self.ask(f"move {host} {port}")

    def starts(self) -> tuple[int, int]:
        """How many start-up messages came so far, with options and without."""
        with_options, without, _ = self.ask("count").split()
        return int(with_options), int(without)

    def early_starts(self) -> int:
        """How many came before those that were refused were gone."""
        return int(self.ask("count").split()[2])


class _Gate:
    """The front end itself, in its process."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._refusal: str | None = None
        self._hidden: set[str] = set()
        self._hang_up_after = 0.0
        self._with_options = self._without = 0
        self._refused = self._early = 0
        #: To the clients that have got to the server.
        self._writers: set[asyncio.StreamWriter] = set()

    def obey(self, order: str) -> str:
        name, _, argument = order.partition(" ")
        if name == "refuse":
            seconds, _, self._refusal = argument.partition(" ")
            self._hang_up_after = float(seconds)
        elif name == "take":
            self._refusal = None
        elif name == "hide":
            self._hidden.add(argument)
        elif name == "report":
            for writer in self._writers:
                writer.write(_message(b"S", argument.replace(" ", "\0").encode() + b"\0"))
        elif name == "move":
            host, port = argument.split()
            self._target = (host, int(port))
        elif name != "count":
            raise ValueError(order)
        return f"{self._with_options} {self._without} {self._early}"

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            start = await self._read_start(reader, writer)
            if start is not None:
                await self._pass_on(start, reader, writer)
        writer.close()

    async def _read_start(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes | None:
        """Return the message that starts a session or asks to cancel; None after refusing it."""
        while True:
            head = await reader.readexactly(8)
            length, code = struct.unpack("!ii", head)
            if code in _ENCRYPTION_REQUESTS:
                writer.write(b"N")
                continue
            body = await reader.readexactly(length - 8)
            if code == _CANCEL_REQUEST:
                return head + body
            self._early += bool(self._refused)
            if b"options" not in body.split(b"\0")[::2]:
                self._without += 1
                return head + body
            self._with_options += 1
            if self._refusal is None:
                return head + body
            writer.write(_fatal("0A000", self._refusal))
            await writer.drain()
            self._refused += 1
            await asyncio.sleep(self._hang_up_after)
            self._refused -= 1
            return None

    async def _pass_on(self, start: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(*self._target)
        server_writer.write(start)
        self._writers.add(writer)
        pumps = [
            asyncio.create_task(self._pump(reader, server_writer)),
            asyncio.create_task(self._pump_messages(server_reader, writer, frozenset(self._hidden))),
        ]
        await asyncio.wait(pumps)
        self._writers.discard(writer)
        server_writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            writer.write_eof()

    async def _pump_messages(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, hidden: frozenset[str]
    ) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readexactly(5)
                body = await reader.readexactly(struct.unpack("!i", head[1:])[0] - 4)
                if head[:1] != b"S" or body.split(b"\0")[0].decode() not in hidden:
                    writer.write(head + body)
                    await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()


def _fatal(code: str, words: str) -> bytes:
    return _message(b"E", f"SFATAL\0VFATAL\0C{code}\0M{words}\0\0".encode())


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


async def main(host: str, port: str) -> None:
    gate = _Gate(host, int(port))
    server = await asyncio.start_server(gate.accept, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while order := (await orders.readline()).decode().strip():
        print(gate.obey(order), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
