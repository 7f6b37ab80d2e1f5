"""``manage.py serve_stdlib``."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from library.source_server import SourceServer
from library.stdlib import find_modules


class Command(BaseCommand):
    """Runs the server that the tasks fetch modules from."""

    help = "Serve the standard library's source files over HTTP until interrupted."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the server's address, and its latency."""
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
        parser.add_argument("--port", type=int, default=8800)
        parser.add_argument("--latency", type=float, default=0.05, help="seconds per request")

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve until Ctrl-C."""
        modules = find_modules()
        with SourceServer(modules, host=options["host"], port=options["port"], latency=options["latency"]) as server:
            self.stdout.write(f"{len(modules)} modules at {server.url}, Ctrl-C to end")
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                self.stdout.write("")
