from __future__ import annotations

import asyncio
import dataclasses
import gc
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from celery import Task, chord, shared_task
from django.db import OperationalError, connection, transaction

from django_geventpool import green, pools
from django_geventpool.utils import close_connection

Numbers = dict[str, Any]


def fetch(sql: str, *parameters: object) -> Any:
    """Run a query; return the first column of the first row."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        row = cursor.fetchone()
    return None if row is None else row[0]


def wait_for_file(path: str) -> None:
    while not Path(path).exists():
        time.sleep(0.01)


@shared_task
def double(number: int) -> int:
    return int(fetch("select %s * 2", number))


@shared_task
def leave_setting() -> None:
    fetch_nothing("SET work_mem = '77MB'")


@shared_task
def leave_lock_and_channel() -> None:
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_lock_shared(%s)", [83001])  # The line that leaves a lock.
        cursor.execute("listen door")  # The line that leaves a channel.


def fetch_nothing(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)  # The line that leaves a setting.


@shared_task
def frozen_objects() -> int:
    """Return how many objects are excluded from garbage collections."""
    return gc.get_freeze_count()


@shared_task(name="pytest_celery.vendors.worker.tasks.ping")
def ping() -> str:
    """Answer pytest-celery, which sends this task to find out whether a worker works."""
    return "pong"


@shared_task
def total(numbers: list[int]) -> int:
    return int(fetch("select sum(number) from unnest(%s) number", numbers))


@shared_task
def start_chord(count: int) -> str:
    """Send tasks that double numbers, and one that sums up; return the id of the latter."""
    return str(chord(double.s(number) for number in range(count))(total.s()).id)


@shared_task(acks_late=True)
def double_acknowledged_late(number: int) -> int:
    return int(fetch("select %s * 2 from pg_sleep(0.05)", number))


@shared_task(bind=True, max_retries=10)
def succeed_at_try(self: Task[Any, Any], number: int) -> int:
    """Succeed at the try of a number, and retry before; return the number of retries."""
    fetch("select 1")
    if self.request.retries + 1 < number:
        raise self.retry(countdown=0.1)
    return int(self.request.retries)


@shared_task
def hold_for(seconds: float) -> None:
    """Hold a connection, without a query."""
    fetch("select 1")
    time.sleep(seconds)


@shared_task
def sleep_in_transaction(seconds: float) -> None:
    """Keep a transaction open, and do nothing in it."""
    with transaction.atomic():
        fetch("select 1")
        time.sleep(seconds)


@shared_task
def schedule(name: str, task: str, seconds: float) -> None:
    """Let beat send a task at intervals until ``unschedule``."""
    from django_celery_beat.models import IntervalSchedule, PeriodicTask

    interval, _ = IntervalSchedule.objects.get_or_create(
        every=int(seconds * 1_000_000), period=IntervalSchedule.MICROSECONDS
    )
    PeriodicTask.objects.create(name=name, task=f"smoke_project.tasks.{task}", interval=interval, args="[1]")


@shared_task
def unschedule(name: str) -> int:
    """Remove a task from beat's schedule; return how often beat has sent it."""
    from django_celery_beat.models import PeriodicTask

    entry = PeriodicTask.objects.get(name=name)
    entry.delete()
    return int(entry.total_run_count)


@shared_task
def fail() -> None:
    fetch("select 1")
    raise ValueError("on purpose")


@shared_task
def die() -> None:
    fetch("select 1")
    os.kill(os.getpid(), signal.SIGKILL)


@shared_task
def sleep_in_query(seconds: float) -> int:
    """Sleep in a query; return the id of the server process."""
    return int(fetch("select pg_backend_pid() from pg_sleep(%s)", seconds))


#: A query that the server executes until a test opens its gate.
_QUERY_UNTIL = """DO $$ BEGIN
    WHILE NOT EXISTS (SELECT FROM gates WHERE name = %s) LOOP PERFORM pg_sleep(0.02); END LOOP;
END $$"""


def wait_in_query(gate: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_QUERY_UNTIL, [gate])
    return int(fetch("select pg_backend_pid()"))


@shared_task
def query_until(gate: str) -> int:
    """Run a query until a gate is opened; return the id of the server process."""
    return wait_in_query(gate)


@shared_task(ignore_result=True)
def write_down(seconds: float) -> None:
    """Sleep in a query, and insert a row with the worker and how long the task waited for a connection."""
    start = time.monotonic()
    connection.ensure_connection()
    waited = time.monotonic() - start
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into runs (worker, waited)"
            " select split_part(current_setting('application_name'), ' ', 1), %s from pg_sleep(%s)",
            [waited, seconds],
        )


@shared_task
def ask_for_two() -> None:
    """Ask for a second connection while this task holds the only one."""
    pool = connection.obtain_pool()  # type: ignore[attr-defined]
    held = pool.getconn()
    try:
        fetch("select 1")
    finally:
        pool.putconn(held)


@shared_task
def hold_until(path: str) -> int:
    """Hold a connection, without a query, until a file exists."""
    pid = int(fetch("select pg_backend_pid()"))
    wait_for_file(path)
    return pid


@shared_task(autoretry_for=(OperationalError,), retry_kwargs={"countdown": 0.1, "max_retries": 200})
def double_with_retries(number: int) -> int:
    return int(fetch("select %s * 2", number))


@shared_task(bind=True, acks_late=True)
def run_again_elsewhere(self: Task[Any, Any], path: str) -> tuple[int, bool]:
    """Run until a file exists. Return the worker's process id, and whether the task was delivered again."""
    if not Path(path).exists():
        fetch("select pg_sleep(600)")
    fetch("select 1")
    return os.getpid(), bool(self.request.delivery_info["redelivered"])


@shared_task
def process_numbers() -> tuple[int, Numbers]:
    """Return the id of the task's process, and its pool's numbers while the task has no connection."""
    pool = pools.get("default")
    return os.getpid(), {} if pool is None else dataclasses.asdict(pool.stats())


@shared_task
def fan_out(count: int, seconds: float = 0) -> tuple[int, list[int]]:
    """Run queries in threads or greenlets that give back; return the ids of the process and of the server processes."""
    return os.getpid(), _pids_of(count, close_connection(lambda: sleep_in_query(seconds)))


@shared_task
def fan_out_and_forget(count: int, seconds: float = 0) -> list[int]:
    """Run queries in threads or greenlets that don't give back."""
    return _pids_of(count, lambda: sleep_in_query(seconds))


@shared_task
def fan_out_until(count: int, gate: str, forget: bool) -> list[int]:
    """Run queries in threads or greenlets until a gate is opened."""

    def work() -> int:
        return wait_in_query(gate)

    return _pids_of(count, work if forget else close_connection(work))


def _pids_of(count: int, work: Callable[[], int]) -> list[int]:
    pids: list[int] = []
    threads = [threading.Thread(target=lambda: pids.append(work())) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return pids


@shared_task
def ask_for_pid() -> int:
    """Query, as an eager task may."""
    return int(fetch("select pg_backend_pid()"))


@shared_task
def run_eagerly() -> dict[str, bool]:
    """Run tasks in this greenlet or thread, inside and outside a transaction."""
    fetch("select 1")
    before = connection.connection
    outside = ask_for_pid.apply().get(disable_sync_subtasks=False)
    kept = connection.connection is before
    with transaction.atomic():
        transaction_id = fetch("select txid_current()")
        inside = ask_for_pid.apply().get(disable_sync_subtasks=False)
        same_transaction = fetch("select txid_current()") == transaction_id
    return {
        "the connection is kept": kept and connection.connection is before,
        "it is the same one": outside == inside == fetch("select pg_backend_pid()"),
        "the transaction goes on": same_transaction,
    }


@shared_task
def run_event_loop_until(begun: str, path: str) -> None:
    """Run an event loop of asyncio, which creates one file when it runs, until another one exists."""

    async def wait() -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(Path(begun).touch)
        await loop.run_in_executor(None, wait_for_file, path)

    asyncio.run(wait())


@shared_task
def spin_until(begun: str, path: str) -> None:
    """Keep the processor, and so the hub, until a file exists."""
    Path(begun).touch()
    while not Path(path).exists():
        pass


@shared_task
def block_until(begun: str, path: str) -> None:
    """Sleep as a library does that wasn't patched, which blocks the hub, until a file exists."""
    Path(begun).touch()
    while not Path(path).exists():
        green.original("time", "sleep")(0.01)


@shared_task
def wait_until(begun: str, path: str) -> None:
    """Wait as a task should, until a file exists."""
    Path(begun).touch()
    wait_for_file(path)


@shared_task(name="smoke_project.tasks.<img src=x onerror=document.title='run'>")
def hold_with_markup_until(path: str) -> int:
    """Hold a connection until a file exists, under a name that a page must not take for a part of it."""
    return hold_until(path)
