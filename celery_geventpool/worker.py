"""What a worker checks and logs when it starts."""

from __future__ import annotations

import gc
import logging

from celery.worker import WorkController
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from django_geventpool import checks, engines, green
from django_geventpool.checks.documentation import with_link
from django_geventpool.options import PoolOptions

from .checks import REUSE_WARNING

logger = logging.getLogger("geventpool.worker")

#: How many young objects cause a garbage collection in a worker, and the most with which a Python begins.
YOUNG_OBJECTS = 10_000
MOST_BY_DEFAULT = 2000


def check() -> None:
    """Check that this worker's pools can work, and end the worker if they can't.

    :raises SystemExit: with a message that says what is wrong. Any other error of a signal handler would only be
        logged by Celery, and the worker would go on.
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
    """Return the options of an alias's pool; imports its engine, but opens no connection.

    :raises ImproperlyConfigured: for options that can't be used, or an engine whose driver is missing.
    """
    pool_options: PoolOptions = connections[alias].pool_options  # type: ignore[attr-defined]
    return pool_options


def freeze_gc() -> None:
    """Exclude the objects that are loaded by now from garbage collections.

    They live as long as the worker. Hundreds of tasks at a time live long enough to cause one full collection after the
    other, in which all tasks wait while these objects are looked at. A few tasks that begin together are enough for one
    of the young objects, which finds nothing: so it waits for more of them, unless somebody has set how many.
    """
    gc.collect()
    gc.freeze()
    first, *others = gc.get_threshold()
    if 0 < first <= MOST_BY_DEFAULT:
        gc.set_threshold(YOUNG_OBJECTS, *others)


def log_start(worker: WorkController) -> None:
    """Log which pools the tasks of this worker share, and what will not work."""
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
    reuse = [with_link(REUSE_WARNING)] if worker.app.conf.get("CELERY_DB_REUSE_MAX") else []
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
    """Return whether a worker runs its tasks in child processes."""
    return any(name in _pool_module(worker) for name in ("prefork", "processes"))


def has_time_limits(worker: WorkController) -> bool:
    """Return whether time limits mean something in a worker's pool, as they don't in threads and solo."""
    return is_prefork(worker) or _framework_of(worker) != "threads"


def shares_process(pool_class: type | str) -> bool:
    """Return whether a pool class runs tasks in the worker's main process, in greenlets or threads."""
    module = _module(pool_class)
    names_one = any(name in module for name in ("gevent", "eventlet", "thread"))
    return names_one or bool(getattr(pool_class, "is_green", False))


def _pool_module(worker: WorkController) -> str:
    """Return the name of the module of the worker's pool class."""
    return _module(worker.pool_cls)  # type: ignore[attr-defined]


def _module(pool_class: type | str) -> str:
    return pool_class if isinstance(pool_class, str) else str(pool_class.__module__)
