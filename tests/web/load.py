"""Sends requests, one or hundreds at the same time."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from servers.web_server import HOST

TIMEOUT = 60.0
_BEGINNING = 200_000


@dataclass(frozen=True)
class Answer:
    """An answer of a web server."""

    status: int
    body: str


def ask(port: int, path: str) -> Answer:
    """Request a page."""
    connection = http.client.HTTPConnection(HOST, port, timeout=TIMEOUT)
    try:
        return _ask(connection, path)
    finally:
        connection.close()


def ask_at_once(port: int, paths: Sequence[str], clients: int) -> list[Answer]:
    """Let a number of clients request all of the pages, one after the other, each beginning with another one."""
    start = threading.Barrier(clients)

    def work(number: int) -> list[Answer]:
        first = number % len(paths)
        connection = http.client.HTTPConnection(HOST, port, timeout=TIMEOUT)
        try:
            start.wait(TIMEOUT)
            return [_ask(connection, path) for path in [*paths[first:], *paths[:first]]]
        finally:
            connection.close()

    with ThreadPoolExecutor(clients) as executor:
        return [answer for answers in executor.map(work, range(clients)) for answer in answers]


def begin(port: int, path: str, clients: int) -> list[Future[Answer]]:
    """Let a number of clients request a page, and return without waiting for the answers."""
    executor = ThreadPoolExecutor(clients)
    futures = [executor.submit(ask, port, path) for _ in range(clients)]
    executor.shutdown(wait=False)
    return futures


@contextmanager
def unread(port: int, path: str) -> Iterator[http.client.HTTPConnection]:
    """Request a page, and hang up at the end of the block."""
    connection = http.client.HTTPConnection(HOST, port, timeout=TIMEOUT)
    try:
        connection.request("GET", path)
        yield connection
    finally:
        connection.close()


def read_half(port: int, path: str) -> None:
    """Read the beginning of an endless page, and hang up."""
    with unread(port, path) as connection, connection.getresponse() as response:
        assert len(response.read(_BEGINNING)) == _BEGINNING


def _ask(connection: http.client.HTTPConnection, path: str) -> Answer:
    connection.request("GET", path)
    response = connection.getresponse()
    return Answer(response.status, response.read().decode())
