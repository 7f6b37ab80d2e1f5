"""The page "Connection pools" in the example's admin, served while the demo runs; imported after Django is set up."""

from __future__ import annotations

import secrets
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from django.contrib.auth import get_user_model
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.urls import reverse
from rich.console import Console

from .whole_messages import deliver_whole_messages

_HOST = "127.0.0.1"
_USER = "demo"


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's name
        """Say nothing between the progress bars."""


@contextmanager
def serving_page(console: Console) -> Iterator[None]:
    """Serve the page on a free port; print its address, and the account to log in with."""
    deliver_whole_messages()
    password = secrets.token_urlsafe(9)
    get_user_model()._default_manager.create_superuser(_USER, password=password)  # type: ignore[attr-defined]  # noqa: SLF001
    connection.close()
    application = StaticFilesHandler(get_wsgi_application())
    with make_server(_HOST, 0, application, _Server, _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        page = reverse("admin:celery_geventpool_connectionpools_changelist")
        console.print(f"The page: http://{_HOST}:{server.server_port}{page}", soft_wrap=True)
        console.print(f"User: {_USER}, password: {password}", markup=False)
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def keep_page(console: Console) -> None:
    """Wait for Enter, if there is somebody to press it, as the page says most while the worker runs."""
    if console.is_terminal and sys.stdin.isatty():
        console.input("The page is there until you press Enter.")
