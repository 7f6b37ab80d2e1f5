"""What a worker checks and says when it starts."""

from __future__ import annotations

import gc
import logging

from celery.worker import WorkController
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from django_geventpool import checks, engines, green
from django_geventpool.options import PoolOptions

from .checks import REUSE_WARNING

logger = logging.getLogger("geventpool.worker")


def check() -> None:
    """End a worker whose pools can't work.

    :raises SystemExit: with the message of what is wrong. Celery would log any other error of a signal handler, and
        go on until the first task fails.
    """
    try:
        for alias in engines.pooled_databases():
            _options_of(alias)
    except ImproperlyConfigured as error:
        raise SystemExit(f"celery_geventpool: {error}") from error
    if not green.are_locks_green():
        framework = green.active()
        patch = "gevent.monkey.patch_all()" if framework == "gevent" else "eventlet.monkey_patch()"
        raise SystemExit(
            f"celery_geventpool: {framework} has patched the sockets of this process, but not its locks and threads: a "
            f"task that waits for a connection would block all others. Call {patch} without leaving threads out."
        )


def _options_of(alias: str) -> PoolOptions:
    """Return the options of a pool; importing its engine, but connecting nothing.

    :raises ImproperlyConfigured: for those that can't be used, or an engine without its driver.
    """
    pool_options: PoolOptions = connections[alias].pool_options  # type: ignore[attr-defined]
    return pool_options


def spare_collections() -> None:
    """Leave what is loaded by now out of garbage collections.

    It stays for as long as the worker does. With hundreds of tasks at a time, which live long enough to have everything
    collected again and again, looking at it took a good part of the worker's time, and all tasks waited meanwhile.
    """
    gc.collect()
    gc.freeze()


def log_start(worker: WorkController) -> None:
    """Say in the log what the tasks of this worker share, and what will not work."""
    for alias, database in engines.pooled_databases().items():
        pool_options = _options_of(alias)
        logger.info(
            'Pool "%s": engine %s, limit %d, mode %s, framework %s, driver %s',
            alias,
            database["ENGINE"],
            pool_options.MAX_CONNS,
            pool_options.POOL_MODE,
            green.active(),
            connections[alias].Database.__name__,  # type: ignore[attr-defined]
        )
    reuse = [REUSE_WARNING] if worker.app.conf.get("CELERY_DB_REUSE_MAX") else []
    for message in [*checks.check_databases(), *checks.check_session_apps(), *reuse]:
        logger.warning("%s %s (%s)", message.msg, message.hint, message.id)
    _warn_if_not_green(worker)


def _warn_if_not_green(worker: WorkController) -> None:
    wanted = _framework_of(worker)
    if wanted != "threads" and green.active() != wanted:
        logger.error(
            "The worker's pool is %s, but %s has patched the sockets of this process: every query will block all other "
            "tasks. Start the worker with the command line (celery worker -P %s), or monkey-patch before anything "
            "else is imported.",
            wanted,
            "nothing" if green.active() == "threads" else green.active(),
            wanted,
        )


def _framework_of(worker: WorkController) -> green.Framework:
    """Return the framework of the worker's pool class."""
    module = _pool_module(worker)
    for framework in ("gevent", "eventlet"):
        if framework in module:
            return framework
    return "threads"


def is_prefork(worker: WorkController) -> bool:
    """Tell whether a worker runs its tasks in child processes."""
    return any(name in _pool_module(worker) for name in ("prefork", "processes"))


def shares_process(pool_class: type | str) -> bool:
    """Tell whether tasks of a pool class run beside the worker's own work: in greenlets or threads of one process."""
    names_one = any(name in _module(pool_class) for name in ("gevent", "eventlet", "thread"))
    return names_one or bool(getattr(pool_class, "is_green", False))


def _pool_module(worker: WorkController) -> str:
    """Return the name of the module of the worker's pool class."""
    return _module(worker.pool_cls)  # type: ignore[attr-defined]


def _module(pool_class: type | str) -> str:
    return pool_class if isinstance(pool_class, str) else str(pool_class.__module__)
