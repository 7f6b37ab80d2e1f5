"""The processes of one worker: the main one, which gets remote commands, and prefork's children, with their own pools.

Each child listens on a socket of its own, in a folder that only the worker's user can enter, with a thread that sleeps
until it is asked. So answers are up to date, and cost nothing until somebody asks.
"""

from __future__ import annotations

import inspect
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

#: How long to wait for all children together (seconds). Celery's command line waits for a second.
PATIENCE = 0.6
#: How long a child waits for a request, and for its answer to be taken (seconds): less, as another may be waiting.
_PATIENCE_OF_CHILD = 0.3
#: How long a child pauses when it can open no more files (seconds).
_PAUSE = 1.0
#: The greatest length of a request, and of an answer (bytes).
_LONGEST_REQUEST, _LONGEST_ANSWER = 100_000, 100_000_000

_METHODS: dict[str, Callable[..., Any]] = {
    "show": operations.show,
    "resize": operations.resize,
    "close_idle": operations.close_idle,
}

#: The folder of the children's sockets, named by process id, and the id of the main process; None without children.
_folder: tuple[Path, int] | None = None


def expect_children() -> None:
    """Make the folder for the sockets of children that this process, a prefork worker's main one, will fork."""
    global _folder
    if _folder is None:
        _folder = Path(tempfile.mkdtemp(prefix="geventpool-")), os.getpid()


def listen() -> None:
    """Make this process answer requests, if it is a prefork child."""
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
    """Return whether this is the main process of a worker whose children have the pools."""
    return _folder is not None and _folder[1] == os.getpid()


def forget_children() -> None:
    """Remove the folder, at the end of the main process."""
    global _folder
    if _folder is not None and has_children():
        shutil.rmtree(_folder[0], ignore_errors=True)
        _folder = None


def ask_all(method: str, **arguments: Any) -> tuple[list[Any], list[int]]:
    """Call a function of ``operations`` in each process of this worker, in this one first.

    :return: what it returned in each, and the ids of the processes that didn't answer in time.
    :raises Refused: when this process refuses; no other was asked then.
    """
    answers = [_METHODS[method](**arguments)]
    if _folder is None or not has_children():
        return answers, []
    deadline = time.monotonic() + PATIENCE
    request = json.dumps({"method": method, "arguments": arguments}).encode() + b"\n"
    paths = [path for path in _folder[0].iterdir() if path.name.isdecimal()]
    asked = {int(path.name): call for path in paths if (call := _call(path, request)) is not None}
    silent = []
    for pid, call in sorted(asked.items()):
        answer = _read_answer(call, deadline)
        if answer is None:
            silent.append(pid)
        else:
            answers.append(answer["answer"])
    return answers, silent


# The main process asks.


def _call(path: Path, request: bytes) -> socket.socket | None:
    """Send a request to a child; return the socket to read its answer from, None if the child can't be reached."""
    call = socket.socket(socket.AF_UNIX)
    try:
        call.settimeout(PATIENCE)
        call.connect(str(path))
        call.sendall(request)
    except ConnectionRefusedError:
        path.unlink(missing_ok=True)  # The child was killed.
    except OSError:
        logger.debug("Process %s could not be asked", path.name, exc_info=True)
    else:
        return call
    call.close()
    return None


def _read_answer(call: socket.socket, deadline: float) -> dict[str, Any] | None:
    """Return a child's answer; None if there is none in time, or it is an error."""
    with call:
        try:
            answer = json.loads(_read_line(call, deadline, _LONGEST_ANSWER))
        except (OSError, ValueError):
            return None
    return answer if isinstance(answer, dict) and "answer" in answer else None


def _read_line(connection: socket.socket, deadline: float, longest: int) -> bytes:
    """Read until the end of the line.

    :raises OSError: if the end doesn't come in time, or at all.
    :raises ValueError: if the line is too long.
    """
    parts: list[bytes] = []
    length = 0
    while not parts or not parts[-1].endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the line did not end in time")
        connection.settimeout(left)
        part = connection.recv(65536)
        if not part:
            raise ConnectionResetError("the line did not end")
        length += len(part)
        if length > longest:
            raise ValueError(f"a line of more than {longest} bytes")
        parts.append(part)
    return b"".join(parts)


# A child answers.


def _serve(listener: socket.socket) -> None:
    """Answer one request after the other, good or bad, for as long as the process lives."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            # The process can't open any more files.
            logger.debug("A question for the pools' numbers could not be accepted", exc_info=True)
            time.sleep(_PAUSE)
            continue
        with connection:
            try:
                _answer(connection)
            except OSError:
                logger.debug("The process that asked for the pools' numbers is gone", exc_info=True)
            except Exception:
                logger.exception("A question for the pools' numbers could not be answered")


def _answer(connection: socket.socket) -> None:
    line = _read_line(connection, time.monotonic() + _PATIENCE_OF_CHILD, _LONGEST_REQUEST)
    try:
        answer = {"answer": _call_method(json.loads(line))}
    except (ValueError, RecursionError) as error:  # ``Refused`` is a ValueError.
        answer = {"error": str(error)}
    connection.settimeout(_PATIENCE_OF_CHILD)
    connection.sendall(json.dumps(answer).encode() + b"\n")


def _call_method(request: Any) -> Any:
    """Call the function that a request names.

    :raises ValueError: if it isn't a request.
    """
    method, arguments = (request.get("method"), request.get("arguments")) if isinstance(request, dict) else (None, None)
    if not isinstance(method, str) or method not in _METHODS or not isinstance(arguments, dict):
        raise ValueError("no request")
    try:
        inspect.signature(_METHODS[method]).bind(**arguments)
    except TypeError as error:
        raise ValueError(str(error)) from error
    return _METHODS[method](**arguments)
