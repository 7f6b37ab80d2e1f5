"""A web server with the standard library's source files, as slow as a distant one."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote


class SourceServer(ThreadingHTTPServer):
    """Serves the source files of modules, each after a latency in seconds, hundreds of them at once.

    :param port: 0 for any free one.
    """

    daemon_threads = True
    # Hundreds of greenlets connect at the same moment; with the default of 5, most would be refused.
    request_queue_size = 1024

    def __init__(
        self, modules: Mapping[str, Path], *, host: str = "127.0.0.1", port: int = 0, latency: float = 0.05
    ) -> None:
        super().__init__((host, port), _Handler)
        self.modules = modules
        self.latency = latency

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that are gone before they have their answer."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        """The address that module paths are appended to."""
        return f"http://{self.server_address[0]}:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    server: SourceServer

    def do_GET(self) -> None:
        time.sleep(self.server.latency)
        file = self.server.modules.get(unquote(self.path).lstrip("/"))
        if file is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        source = file.read_bytes()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/x-python")
        self.send_header("Content-Length", str(len(source)))
        self.end_headers()
        self.wfile.write(source)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Log nothing: there are thousands of requests."""
