"""The worker option ``--pool-metrics-port``: a page that Prometheus scrapes, and probes."""

from __future__ import annotations

import logging
import threading
from typing import Any

from celery import bootsteps
from celery.worker import WorkController

from . import server

logger = logging.getLogger("geventpool.worker")

LOOPBACK = "127.0.0.1"

#: The HTTP server of this process, or of the one that it was forked from.
_server: Any = None


class PoolMetrics(bootsteps.StartStopStep):
    """Serves /metrics, /livez and /readyz in the worker's main process, until its last task has ended."""

    # Prefork's first children are forked by then, and don't inherit the socket.
    requires = ("celery.worker.components:Pool",)

    def __init__(
        self,
        parent: WorkController,
        pool_metrics_port: int | None = None,
        pool_metrics_host: str = LOOPBACK,
        **kwargs: Any,
    ) -> None:
        super().__init__(parent, **kwargs)
        self.enabled = pool_metrics_port is not None
        self._port = pool_metrics_port
        self._host = pool_metrics_host

    def start(self, parent: WorkController) -> None:
        """Start to serve; a worker that can't open the port logs it, and goes on without."""
        global _server
        try:
            from prometheus_client import CollectorRegistry, make_wsgi_app

            from .prometheus import PoolCollector
        except ModuleNotFoundError:
            logger.error('--pool-metrics-port needs prometheus-client: pip install "celery-geventpool[prometheus]"')
            return
        registry = CollectorRegistry()
        registry.register(PoolCollector(parent.hostname))  # type: ignore[attr-defined]
        assert self._port is not None
        try:
            opened = server.start(self._host, self._port, make_wsgi_app(registry))
        except OSError as error:
            logger.error(
                "No metrics are served on %s:%d: %s. The worker goes on without; "
                "choose another --pool-metrics-port, one for each worker of a machine.",
                self._host,
                self._port,
                error,
            )
            return
        threading.Thread(target=opened.serve_forever, name="pool-metrics", daemon=True).start()
        _server = opened  # Now it can be shut down, which waits for the thread.
        logger.info("Metrics of the pools: http://%s:%d/metrics", self._host, opened.server_port)

    def stop(self, parent: WorkController) -> None:
        """Serve on: this is stopped before the worker's pool, which waits for the running tasks. See ``close``."""


def close() -> None:
    """Stop serving, at the end of the worker."""
    global _server
    if _server is not None:
        _server.shutdown()
        _server.server_close()
        _server = None


def leave_to_parent() -> None:
    """Close a forked child's copy of the socket, which would keep the port taken after its parent's end."""
    global _server
    if _server is not None:
        _server.server_close()
        _server = None
