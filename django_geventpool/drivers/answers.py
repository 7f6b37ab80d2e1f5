"""Whether a server answers, without a session of its own: nobody logs in, so no limit counts it."""

from __future__ import annotations

import socket
import ssl
import struct
import time
from collections.abc import Mapping
from typing import Any

from . import hosts
from .errors import Suppress, is_foreign

#: The parameters that say where the server is.
WHERE = ("service", "host", "hostaddr", "port")
#: The question whether the server speaks TLS. It answers by a letter, before anybody has to log in; poolers do, too.
_QUESTION = struct.pack("!ii", 8, 80877103)
#: Its answer if it does.
_TLS = b"S"


def answers(settings: Mapping[str, Any], timeout: float) -> bool | None:
    """Return whether one of the servers of some settings answers in time; None if they name no host.

    :param settings: what libpq would connect with; of these host, hostaddr and port count.
    :param timeout: for all hosts together, in seconds.
    """
    deadline = time.monotonic() + timeout
    is_any_named = False
    for attempt in hosts.attempts({}, settings, lambda _message: None):
        if not attempt:
            return None  # libpq's own default, which only libpq knows.
        is_any_named = True
        left = deadline - time.monotonic()
        if left > 0 and _answers(attempt["hostaddr"] or attempt["host"], attempt["port"] or "5432", left):
            return True
    return False if is_any_named or settings.get("host") else None


def _answers(host: str, port: str, timeout: float) -> bool:
    try:
        with _connect(host, port, timeout) as connection:
            connection.sendall(_QUESTION)
            answer = connection.recv(1)
            if answer == _TLS:
                # It has answered, whatever it then demands, such as a certificate of ours.
                with Suppress(ssl.SSLError, ConnectionError):
                    _shake_hands(connection)
            return bool(answer)
    except TimeoutError:
        return False  # The socket's own.
    except (OSError, ValueError, OverflowError) as error:  # The latter two are for what is no port.
        if is_foreign(error):
            raise
        return False


def _shake_hands(connection: socket.socket) -> None:
    """Begin TLS as the server now expects, which would log a client that goes away before as an error."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Nothing is told to the server, and nothing is believed but that it answers.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.wrap_socket(connection).close()


def _connect(host: str, port: str, timeout: float) -> socket.socket:
    if not host.startswith(("/", "@")):
        return socket.create_connection((host, int(port)), timeout)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(timeout)
        path = f"{host}/.s.PGSQL.{port}"
        connection.connect(path.replace("@", "\0", 1) if host.startswith("@") else path)
    except BaseException:
        connection.close()
        raise
    return connection
