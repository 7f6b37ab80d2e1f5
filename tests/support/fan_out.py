"""The ways in which users' code runs a function in greenlets or threads that it starts, and waits for them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from concurrent.futures import wait as wait_for_futures
from typing import Any

from .tasks import FRAMEWORK

Work = Callable[[], object]


def in_threads(work: Work, count: int) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def in_own_kind_of_thread(work: Work, count: int) -> None:
    class Worker(threading.Thread):
        def run(self) -> None:
            work()

    threads = {number: Worker() for number in range(count)}
    for thread in threads.values():
        thread.start()
    for thread in threads.values():
        thread.join()


def by_map_of_executor(work: Work, count: int) -> None:
    with ThreadPoolExecutor(count) as executor:
        list(executor.map(lambda _number: work(), range(count)))


def by_submit(work: Work, count: int) -> None:
    executor = ThreadPoolExecutor(count)
    futures = [executor.submit(work) for _ in range(count)]
    for future in futures:
        future.result()
    executor.shutdown()


def by_wait(work: Work, count: int) -> None:
    with ThreadPoolExecutor(count) as executor:
        wait_for_futures([executor.submit(work) for _ in range(count)])


def by_as_completed(work: Work, count: int) -> None:
    with ThreadPoolExecutor(count) as executor:
        for future in as_completed([executor.submit(work) for _ in range(count)]):
            future.result()


def by_leaving_an_executor(work: Work, count: int) -> None:
    with ThreadPoolExecutor(count) as executor:
        for _ in range(count):
            executor.submit(work)


def by_joinall(work: Work, count: int) -> None:
    import gevent

    gevent.joinall([gevent.spawn(work) for _ in range(count)], raise_error=True)


def in_a_gevent_pool(work: Work, count: int) -> None:
    from gevent.pool import Pool

    Pool(count).map(lambda _number: work(), range(count))


def in_a_gevent_group(work: Work, count: int) -> None:
    from gevent.pool import Group

    group = Group()
    for _ in range(count):
        group.spawn(work)
    group.join()


def by_waiting_for_green_threads(work: Work, count: int) -> None:
    import eventlet

    for green_thread in [eventlet.spawn(work) for _ in range(count)]:
        green_thread.wait()


def in_a_green_pool(work: Work, count: int) -> None:
    import eventlet

    pool = eventlet.GreenPool(count)
    for _ in range(count):
        pool.spawn(work)
    pool.waitall()


def in_a_green_pool_without_results(work: Work, count: int) -> None:
    import eventlet

    pool = eventlet.GreenPool(count)
    for _ in range(count):
        pool.spawn_n(work)
    pool.waitall()


def by_imap(work: Work, count: int) -> None:
    import eventlet

    list(eventlet.GreenPool(count).imap(lambda _number: work(), range(count)))


_EVERYWHERE: list[Callable[[Work, int], None]] = [
    in_threads,
    in_own_kind_of_thread,
    by_map_of_executor,
    by_submit,
    by_wait,
    by_as_completed,
    by_leaving_an_executor,
]
_GREEN: dict[str, list[Callable[[Work, int], None]]] = {
    "gevent": [by_joinall, in_a_gevent_pool, in_a_gevent_group],
    "eventlet": [by_waiting_for_green_threads, in_a_green_pool, in_a_green_pool_without_results, by_imap],
}

#: Those of the active framework.
WAYS: list[Callable[[Work, int], Any]] = [*_EVERYWHERE, *_GREEN.get(FRAMEWORK, [])]
