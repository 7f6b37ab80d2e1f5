"""The processes of one worker: its main process, which is asked, and prefork's children, which have pools of their own.

Each child listens on a socket of its own in a folder that only the worker's user can enter, in a thread that sleeps
until it is asked: an answer is of the moment, and costs nothing as long as nobody wants one.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django_geventpool import green

from . import operations

logger = logging.getLogger("geventpool.worker")

#: How long to wait for the children, all together, in seconds. Celery's command line waits for a second.
PATIENCE = 0.6

_METHODS: dict[str, Callable[..., Any]] = {
    "show": operations.show,
    "resize": operations.resize,
    "close_idle": operations.close_idle,
}

#: Where the children's sockets are, named by process id, and the process that made it; None without children.
_folder: tuple[Path, int] | None = None


def expect_children() -> None:
    """Make this process, a prefork worker's main one, ready to ask children that it forks from now on."""
    global _folder
    if _folder is None:
        _folder = Path(tempfile.mkdtemp(prefix="geventpool-")), os.getpid()


def listen() -> None:
    """Have this process answer, if it is such a child."""
    if _folder is None or has_children():
        return
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(str(_folder[0] / str(os.getpid())))
        listener.listen()
    except OSError as error:
        listener.close()
        logger.warning("This process can't be asked for its pools' numbers: %s", error)
        return
    green.start_thread(_serve, listener)


def has_children() -> bool:
    """Tell whether this is the main process of a worker whose children have the pools."""
    return _folder is not None and _folder[1] == os.getpid()


def forget_children() -> None:
    """Clean up, at the end of the main process."""
    global _folder
    if _folder is not None and has_children():
        shutil.rmtree(_folder[0], ignore_errors=True)
        _folder = None


def ask_all(method: str, **arguments: Any) -> tuple[list[Any], list[int]]:
    """Have a function of ``operations`` run in each process of this worker, in this one first.

    :return: what it returned, and the process ids of those that didn't answer in time.
    :raises Refused: when this process refuses; then no other was asked.
    """
    answers = [_METHODS[method](**arguments)]
    if _folder is None or not has_children():
        return answers, []
    deadline = time.monotonic() + PATIENCE
    request = json.dumps({"method": method, "arguments": arguments}).encode() + b"\n"
    asked = {int(path.name): call for path in _folder[0].iterdir() if (call := _call(path, request)) is not None}
    silent = []
    for pid, call in sorted(asked.items()):
        answer = _read_answer(call, deadline)
        if answer is None:
            silent.append(pid)
        else:
            answers.append(answer["answer"])
    return answers, silent


# The main process


def _call(path: Path, request: bytes) -> socket.socket | None:
    """Send a request to a child, and return the socket to read its answer from; None if it is gone."""
    call = socket.socket(socket.AF_UNIX)
    try:
        call.settimeout(PATIENCE)
        call.connect(str(path))
        call.sendall(request)
    except ConnectionRefusedError:
        path.unlink(missing_ok=True)  # It was killed.
    except OSError:
        logger.debug("Process %s could not be asked", path.name, exc_info=True)
    else:
        return call
    call.close()
    return None


def _read_answer(call: socket.socket, deadline: float) -> dict[str, Any] | None:
    with call:
        try:
            line = _read_line(call, deadline)
            return json.loads(line) if line else None
        except OSError:
            return None


def _read_line(connection: socket.socket, deadline: float) -> bytes:
    """Read up to the end of the line, or of the connection."""
    line = b""
    while not line.endswith(b"\n"):
        connection.settimeout(max(0.001, deadline - time.monotonic()))
        part = connection.recv(65536)
        if not part:
            return b""
        line += part
    return line


# A child


def _serve(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        with connection:
            try:
                request = json.loads(_read_line(connection, time.monotonic() + PATIENCE))
                answer = _METHODS[request["method"]](**request["arguments"])
                connection.sendall(json.dumps({"answer": answer}).encode() + b"\n")
            except (OSError, ValueError):
                logger.debug("A question for the pools' numbers was not answered", exc_info=True)
