"""A prefork child answers its worker's main process, and keeps answering whatever it is sent."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from celery_geventpool import processes
from tests.support.waiting import eventually

GOOD = b'{"method": "show", "arguments": {"more": []}}\n'


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """Return the socket of a child that answers until the end of the test."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "child"))
    listener.listen()
    thread = threading.Thread(target=_serve_until_closed, args=[listener], daemon=True)
    thread.start()
    yield tmp_path / "child"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(10)


class _Closed(BaseException):
    """Ends the child's loop at the end of a test."""


def _serve_until_closed(listener: socket.socket) -> None:
    class Listener:
        def accept(self) -> tuple[socket.socket, object]:
            try:
                return listener.accept()
            except OSError:
                raise _Closed from None

    with contextlib.suppress(_Closed):
        processes._serve(Listener())  # type: ignore[arg-type]  # noqa: SLF001  what its thread does


def call(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(30)
    connection.connect(str(path))
    return connection


def ask(path: Path, request: bytes) -> bytes:
    """Return the child's answer, until the connection ends."""
    answer = b""
    with call(path) as connection:
        try:
            connection.sendall(request)
            while part := connection.recv(65536):
                answer += part
        except (ConnectionResetError, BrokenPipeError):
            pass  # The child has closed the connection.
    return answer


def assert_serves(path: Path) -> None:
    assert list(json.loads(ask(path, GOOD))) == ["answer"]


BAD = {
    "not JSON": b"what?\n",
    "not text": b"\xff\xfe\x00\n",
    "nothing": b"\n",
    "no dictionary": b"[1, 2]\n",
    "null": b"null\n",
    "no method": b'{"arguments": {}}\n',
    "an unknown method": b'{"method": "shutdown", "arguments": {}}\n',
    "a method that is no name": b'{"method": ["show"], "arguments": {}}\n',
    "no arguments": b'{"method": "show"}\n',
    "arguments in a list": b'{"method": "show", "arguments": [[]]}\n',
    "unknown arguments": b'{"method": "show", "arguments": {"less": 1}}\n',
    "missing arguments": b'{"method": "resize", "arguments": {}}\n',
    "an alias without a pool": b'{"method": "resize", "arguments": {"alias": "x", "limit": 1}}\n',
    "an alias that is none": b'{"method": "close_idle", "arguments": {"alias": [{}]}}\n',
    "nested too deep": b"[" * 90_000 + b"\n",
    "a number of 5,000 digits": b'{"method": ' + b"9" * 5000 + b"}\n",
}


@pytest.mark.parametrize("request_", BAD.values(), ids=BAD)
def test_a_bad_request_is_refused_and_the_next_one_answered(path: Path, request_: bytes) -> None:
    answer = json.loads(ask(path, request_))
    assert list(answer) == ["error"]
    assert_serves(path)


def test_an_error_of_what_it_does_is_logged_and_the_next_one_answered(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(processes._METHODS, "show", lambda more: 1 / len(more))  # noqa: SLF001
    assert ask(path, GOOD) == b""
    message = "A question for the pools' numbers could not be answered"
    assert [record.getMessage() for record in caplog.records if record.exc_info] == [message]
    assert json.loads(ask(path, GOOD.replace(b"[]", b'["holders"]'))) == {"answer": 1}


def test_a_client_that_hangs_up(path: Path) -> None:
    for sent in (b"", GOOD[:10], GOOD):
        for _ in range(20):
            with call(path) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.sendall(sent)
        assert_serves(path)


def test_clients_that_never_send_or_trickle_are_given_up(path: Path) -> None:
    stop = threading.Event()

    def trickle(connection: socket.socket) -> None:
        try:
            while not stop.is_set():
                connection.sendall(b" ")
                time.sleep(0.0002)
        except OSError:
            pass

    with call(path), call(path) as connection:
        thread = threading.Thread(target=trickle, args=[connection])
        thread.start()
        try:
            assert_serves(path)  # The requests before have been dealt with.
        finally:
            stop.set()
            thread.join(30)


def test_a_client_that_never_reads_is_given_up(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(processes._METHODS, "show", lambda more: ["x" * 10_000_000] if more else [])  # noqa: SLF001
    with call(path) as connection:
        connection.sendall(GOOD.replace(b"[]", b'["holders"]'))
        assert_serves(path)


def test_a_request_without_an_end_is_not_kept_in_memory(path: Path) -> None:
    tracemalloc.start()
    try:
        ask(path, b"x" * 50_000_000)  # This memory is the test's, and was taken before.
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        with call(path) as connection:
            try:
                for _ in range(1000):
                    connection.sendall(bytes(65536))
            except (BrokenPipeError, ConnectionResetError):
                pass
        assert_serves(path)
        assert tracemalloc.get_traced_memory()[1] - before < 2_000_000
    finally:
        tracemalloc.stop()


def test_no_room_for_another_connection_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_PAUSE", 0.0)
    tries: list[None] = []

    class Listener:
        def accept(self) -> tuple[socket.socket, object]:
            tries.append(None)
            if len(tries) < 5:
                raise OSError(24, "Too many open files")
            raise _Closed

    with pytest.raises(_Closed):
        processes._serve(Listener())  # type: ignore[arg-type]  # noqa: SLF001  what its thread does


def test_the_main_process_bears_what_is_in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is no socket, a socket whose owner is gone, a child that answers rubbish, and one that answers."""
    monkeypatch.setattr(processes, "_folder", (tmp_path, os.getpid()))
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "17").write_text("no socket")
    gone = socket.socket(socket.AF_UNIX)
    gone.bind(str(tmp_path / "18"))
    gone.close()
    answers = {"19": b"what?\n", "20": b'{"error": "no"}\n', "21": b"[]\n", "22": b"", "23": b'{"answer": ["it"]}\n'}
    threads = []
    for pid, answer in answers.items():
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(tmp_path / pid))
        listener.listen()
        threads.append(threading.Thread(target=_answer_once, args=[listener, answer], daemon=True))
        threads[-1].start()
    got, silent = processes.ask_all("show")
    assert got[1:] == [["it"]]
    assert silent == [19, 20, 21, 22]
    eventually(lambda: not any(thread.is_alive() for thread in threads), "all answered")


def _answer_once(listener: socket.socket, answer: bytes) -> None:
    with listener:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(answer)
