"""The HTTP server in a worker: the page for Prometheus, and the probes.

Under gevent and eventlet it answers in greenlets. So if the hub is blocked nothing is answered, and a probe fails when
its own time is over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from ..readiness import readiness

#: How long the timer runs that a probe waits for (seconds).
_TICK = 0.01

#: An application as WSGI defines it.
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    #: So many connections wait while the hub is blocked; more are refused.
    request_queue_size = 20


class _Handler(WSGIRequestHandler):
    #: How long a client may take to ask (seconds).
    timeout = 10

    def log_message(self, *_args: Any) -> None:
        """Log nothing, as probes come every few seconds."""


def start(host: str, port: int, metrics: Application) -> WSGIServer:
    """Open a port; return the server, which is yet to serve.

    :param metrics: answers what is no probe.
    :raises OSError: if the port can't be opened.
    """
    return make_server(host, port, _with_probes(metrics), _Server, handler_class=_Handler)


def _with_probes(metrics: Application) -> Application:
    probes = {"/livez": _is_alive, "/readyz": _is_ready}

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        probe = probes.get(environ.get("PATH_INFO", ""))
        if probe is None:
            return metrics(environ, start_response)
        is_good, text = probe()
        status = "200 OK" if is_good else "503 Service Unavailable"
        start_response(status, [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")])
        return [f"{text}\n".encode()]

    return application


def _is_alive() -> tuple[bool, str]:
    """Wait for a timer: if this returns, the hub turns, or the interpreter where there is none."""
    began = time.monotonic()
    time.sleep(_TICK)
    late = time.monotonic() - began - _TICK
    return True, f"alive: a timer was {max(0.0, late) * 1000:.0f} ms late"


def _is_ready() -> tuple[bool, str]:
    verdict = readiness.verdict()
    return verdict.is_ready, str(verdict)
