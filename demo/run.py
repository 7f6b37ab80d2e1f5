"""The run of the demo; imported after Django is set up."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

from celery import Signature
from library.source_server import SourceServer
from library.stdlib import find_modules
from library.tasks import plan
from project.celery import app
from rich.console import Console
from rich.progress import track

from servers.celery_worker import CeleryWorker
from servers.process import wait_until

from .database import migrated_schema
from .display import Display, Moment
from .environment import Environment
from .expected import count_serially, find_wrong_modules
from .garbage import collect_less_garbage
from .monitor import ConnectionMonitor
from .options import DemoOptions
from .outcome import Outcome
from .page import keep_page, serving_page
from .pool_numbers import read_pool_numbers
from .results import Results

_Item = TypeVar("_Item")

_SECONDS_BETWEEN_LOOKS = 0.1
# When no task has ended for that long, none will.
_STALL_SECONDS = 60.0
_SETTLE_SECONDS = 5.0
# For a worker that is interrupted to finish its tasks, a few hundred at the most.
_STOP_SECONDS = 10.0


def run(options: DemoOptions, environment: Environment, console: Console, log_file: Path) -> Outcome:
    """Let a worker index the standard library, and return what it did."""
    collect_less_garbage()
    files = find_modules()
    tasks = plan(files)[: options.tasks]
    with ExitStack() as stack:
        stack.enter_context(migrated_schema(environment.name))
        stack.callback(_remove_queue)
        # Before the worker starts: Celery's filesystem broker writes messages in place, and a worker that reads half of
        # one ends.
        paths = {task.delay().id: _paths(task) for task in _progress(tasks, "Enqueueing ...", console)}
        wanted = [(path, files[path]) for task_paths in paths.values() for path in task_paths]
        console.print(f"{len(tasks)} tasks for {len(wanted)} modules are enqueued.")
        results = Results(app, environment.results_folder, paths)
        source_url = stack.enter_context(_serving(files))
        worker = environment.worker(options, source_url, log_file)
        if options.page:
            stack.enter_context(serving_page(console))
        with _monitoring(environment.name) as monitor, _running(worker):
            with Display(console, len(tasks), options.limit) as display:
                seconds = _watch(results, worker, monitor, environment.numbers_folder, display)
            pool = read_pool_numbers(environment.numbers_folder)
            if options.page:
                keep_page(console)
            # Celery takes seconds to end; the rows are counted meanwhile.
            worker.send_signal(signal.SIGTERM)
            expected = count_serially(_progress(wanted, "Counting serially ...", console))
        failed_paths = {path for task_id in results.failed for path in paths[task_id]}
        wrong = find_wrong_modules(expected) - failed_paths
        return Outcome(
            options=options,
            tasks=len(tasks),
            modules=len(wanted),
            definitions=sum(len(module.definitions) for module in expected.values()),
            lost=len(results.pending) + _count_without_rows(results, paths, wrong),
            wrong_modules=len(wrong),
            failed=len(results.failed),
            reasons=results.reasons(),
            seconds=seconds,
            peak=monitor.peak,
            samples=monitor.samples,
            pool=pool,
        )


def _progress(items: Sequence[_Item], description: str, console: Console) -> Iterable[_Item]:
    """Return the items, with a progress bar that is gone at the end."""
    return track(items, description, console=console, transient=True, disable=not console.is_terminal)


def _paths(task: Signature) -> list[str]:
    """Return the paths of the modules that a task indexes."""
    (argument,) = task.args
    return [argument] if isinstance(argument, str) else argument


def _count_without_rows(results: Results, paths: Mapping[str, list[str]], wrong: set[str]) -> int:
    """Return how many tasks succeeded, but left wrong rows or none."""
    return sum(not wrong.isdisjoint(paths[task_id]) for task_id in results.succeeded)


@contextmanager
def _serving(files: Mapping[str, Path]) -> Iterator[str]:
    """Serve the modules from a thread; yield the server's URL."""
    with SourceServer(files) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server.url
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def _running(worker: CeleryWorker) -> Iterator[None]:
    try:
        worker.start()
        yield
    finally:
        worker.stop(_STOP_SECONDS)


@contextmanager
def _monitoring(application_name: str) -> Iterator[ConnectionMonitor]:
    monitor = ConnectionMonitor(application_name)
    monitor.start()
    try:
        yield monitor
    finally:
        monitor.stop()
    if monitor.error is not None:
        raise monitor.error


def _watch(
    results: Results, worker: CeleryWorker, monitor: ConnectionMonitor, numbers_folder: Path, display: Display
) -> float:
    """Show the progress until all tasks have ended, or no more will; return the seconds it took."""

    def look() -> Moment:
        return Moment(
            ended=results.ended,
            failed=len(results.failed),
            seconds=time.monotonic() - started,
            pool=read_pool_numbers(numbers_folder),
            connections=monitor.current,
            peak=monitor.peak,
        )

    def is_settled() -> bool:
        numbers = read_pool_numbers(numbers_folder)
        return numbers is None or numbers.in_use == 0

    started = news = time.monotonic()
    while results.pending and worker.is_running and time.monotonic() < news + _STALL_SECONDS:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
        if results.collect():
            news = time.monotonic()
        display.show(look())
    results.collect()
    # A task's result is there a moment before its connection is given back.
    wait_until(is_settled, _SETTLE_SECONDS)
    display.show(look(), is_last=True)
    return news - started


def _remove_queue() -> None:
    with app.connection_for_write() as connection:
        queue = app.amqp.queues[app.conf.task_default_queue](connection.default_channel)
        # Celery's brokers without AMQP only delete a queue that this process has declared.
        queue.declare()
        queue.delete()
        queue.exchange.delete()
