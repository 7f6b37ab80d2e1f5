"""The costs of the pool itself, without a server: ``python -m benchmarks micro``.

Measures a checkout while few and while many greenlets wait, the memory of a waiting greenlet, and the share of the
statistics.
"""

from gevent import monkey

monkey.patch_all()

import argparse  # noqa: E402
import gc  # noqa: E402
import platform  # noqa: E402
import socket  # noqa: E402
import statistics  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402
import tracemalloc  # noqa: E402
from collections import deque  # noqa: E402
from collections.abc import Callable  # noqa: E402
from types import FrameType  # noqa: E402
from typing import Any, Literal  # noqa: E402

import gevent  # noqa: E402
from gevent.lock import BoundedSemaphore  # noqa: E402

from django_geventpool import green  # noqa: E402
from django_geventpool.options import PoolOptions  # noqa: E402
from django_geventpool.pool import Pool  # noqa: E402
from django_geventpool.pool.counters import Histogram  # noqa: E402
from django_geventpool.pool.driver import Use  # noqa: E402

#: A function of the numbers of waiters and of checkouts.
Cost = Callable[[int, int], float]

_FEW, _MANY = 10, 10_000
_CHECKOUTS = 50_000
_TURNS = 100
_MOST_RATIO = 1.2
_MOST_CALLS_RATIO = 1.05
_MOST_BYTES = 2048
# Longer than any measurement, so that each waiter has a deadline, and none meets it.
_PATIENCE = 3600.0


class _Connection:
    """Stands in for a connection."""


class _NoServer:
    """A driver whose connections need no server and take no time."""

    name = "none"
    error: type[Exception] = OSError

    def connect(self, opening: Callable[[Any], None], badge: str = "") -> _Connection:
        """Open one."""
        connection = _Connection()
        opening(connection)
        return connection

    def clear_set_up(self, connection: _Connection) -> None:
        """Nothing was set up."""

    def kinds_kept(self, connection: _Connection) -> tuple[()]:
        """They have no sessions."""
        return ()

    def is_alive(self, connection: _Connection) -> bool:
        """They all are."""
        return True

    def time_zone(self, connection: _Connection) -> str | None:
        """They have none."""
        return None

    def is_in_transaction(self, connection: _Connection) -> bool:
        """They have none."""
        return False

    def has_not_begun(self, connection: _Connection, error: BaseException) -> bool:
        """They fail with nothing."""
        return False

    def reset(self, connection: _Connection) -> bool:
        """They always are."""
        return True

    def look(self, connection: _Connection, badge: str) -> None:
        """There is no list."""

    def server_of(self, connection: _Connection) -> None:
        """There is none."""

    def close(self, connection: _Connection) -> None:
        """Do nothing."""

    def is_interrupted(self, connection: _Connection) -> bool:
        """Nobody is."""
        return False

    def state(self, connection: _Connection) -> Literal["active", "idle", "idle in transaction"]:
        """They do nothing."""
        return "idle"

    def use(self, connection: _Connection) -> Use:
        """They aren't used."""
        return Use(0, 0)

    def is_server_full(self, error: BaseException) -> bool:
        """There is no server."""
        return False


def _make_pool() -> Pool:
    return Pool("micro", _NoServer(), PoolOptions(MAX_CONNS=1, CONN_WAIT_TIMEOUT=_PATIENCE))


def checkout_cost(waiters: int, checkouts: int) -> float:
    """Return the seconds of a checkout and its return, while a number of greenlets wait for the one connection."""
    pool = _make_pool()
    held = pool.getconn()

    def checkout() -> Callable[[], None]:
        connection = pool.getconn()
        return lambda: pool.putconn(connection)

    seconds = _cost(checkout, lambda: pool.putconn(held), waiters, checkouts)
    pool.close()
    return seconds


def checkout_calls(waiters: int, checkouts: int) -> float:
    """Return how many functions, of Python's or C, a checkout and its return call, while a number of greenlets wait.

    Unlike times, this says what the pool does, whatever memory and other programs do.
    """
    pool = _make_pool()
    held = pool.getconn()
    calls = taken = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    def checkout() -> Callable[[], None]:
        nonlocal taken
        connection = pool.getconn()
        taken += 1
        if taken == checkouts:
            sys.setprofile(None)  # What follows is the end of all who wait.
        return lambda: pool.putconn(connection)

    def let_go() -> None:
        sys.setprofile(count)
        pool.putconn(held)

    _cost(checkout, let_go, waiters, checkouts)
    pool.close()
    return calls / checkouts


def handoff_cost(waiters: int, checkouts: int) -> float:
    """Return the same for gevent's lock alone: the least that a switch to the longest waiter can cost."""
    queue: deque[threading.Lock] = deque()

    def next_one() -> None:
        if queue:
            queue.popleft().release()

    def checkout() -> Callable[[], None]:
        gate = threading.Lock()
        gate.acquire()
        queue.append(gate)
        gate.acquire(timeout=_PATIENCE)
        return next_one

    return _cost(checkout, next_one, waiters, checkouts)


class _Forgetful(Histogram):
    """Records nothing, as a pool without statistics would."""

    def record(self, seconds: float) -> None:
        """Do nothing."""


class _Quiet(_NoServer):
    """A driver that looks at a connection's socket before it is lent, as the real ones do."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def is_alive(self, connection: _Connection) -> bool:
        """Return whether there is nothing to read."""
        return not green.is_readable(self._fd)


def statistics_cost(checkouts: int, rounds: int) -> tuple[float, float]:
    """Return the seconds of a checkout and its return, with statistics and without.

    Nobody waits, so that nothing else costs time. Both take many short turns, so that noise hits them alike.
    """
    one, other = socket.socketpair()
    pools = [Pool("micro", _Quiet(one.fileno()), PoolOptions(MAX_CONNS=1)) for _ in range(2)]
    kept = pools[1]._state.counters  # noqa: SLF001
    kept.histograms = dict.fromkeys(kept.histograms, _Forgetful())
    costs: list[list[float]] = [[], []]
    for turn in range(2 * rounds * _TURNS):
        pool = pools[turn % 2]
        began = time.process_time()
        for _ in range(checkouts // _TURNS):
            pool.putconn(pool.getconn())
        costs[turn % 2].append(time.process_time() - began)
    for pool in pools:
        pool.close()
    one.close()
    other.close()
    on, off = (statistics.median(seconds) / (checkouts // _TURNS) for seconds in costs)
    return on, off


def _cost(
    checkout: Callable[[], Callable[[], object]], let_go: Callable[[], object], waiters: int, checkouts: int
) -> float:
    """Return the seconds of a checkout and its return by greenlets that take turns, each waiting for all others."""
    left = checkouts

    def cycle() -> None:
        nonlocal left
        while left > 0:
            give_back = checkout()
            left -= 1
            give_back()

    greenlets = [gevent.spawn(cycle) for _ in range(waiters + 1)]
    gevent.sleep(0)  # Lets all of them begin to wait.
    began = time.perf_counter()
    let_go()
    while left > 0:
        gevent.sleep(0.001)
    seconds = time.perf_counter() - began
    gevent.joinall(greenlets)
    return seconds / checkouts


def _bytes_of(wait: Callable[[], object], let_go: Callable[[], object], waiters: int) -> float:
    gc.collect()
    tracemalloc.start()
    greenlets = [gevent.spawn(wait) for _ in range(waiters)]
    gevent.sleep(0)
    gc.collect()
    traced, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    let_go()
    gevent.joinall(greenlets)
    return traced / waiters


def waiter_bytes(waiters: int) -> tuple[float, float]:
    """Return the bytes of Python's memory that a greenlet takes: waiting for a connection, and at a bare lock."""
    pool = _make_pool()
    held = pool.getconn()
    in_pool = _bytes_of(lambda: pool.putconn(pool.getconn()), lambda: pool.putconn(held), waiters)
    pool.close()
    lock = BoundedSemaphore(1)
    lock.acquire()

    def wait_at_lock() -> None:
        lock.acquire(timeout=_PATIENCE)
        lock.release()

    return in_pool, _bytes_of(wait_at_lock, lock.release, waiters)


def main() -> int:
    """Measure, print, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks micro", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="how often each is measured (5)")
    rounds = max(1, parser.parse_args().rounds)
    costs: dict[tuple[Cost, int], list[float]] = {
        (cost, waiters): [] for cost in (handoff_cost, checkout_cost) for waiters in (_FEW, _MANY)
    }
    for _ in range(rounds):
        for (cost, waiters), seconds in costs.items():
            seconds.append(cost(waiters, _CHECKOUTS))
    medians = {key: statistics.median(seconds) * 1e6 for key, seconds in costs.items()}
    few, many = (medians[checkout_cost, waiters] for waiters in (_FEW, _MANY))
    bare_few, bare_many = (medians[handoff_cost, waiters] for waiters in (_FEW, _MANY))
    few_calls, many_calls = (checkout_calls(waiters, 2 * _MANY) for waiters in (_FEW, _MANY))
    in_pool, at_lock = waiter_bytes(_MANY)
    on, off = statistics_cost(_CHECKOUTS, rounds)
    ratio, own = (many - bare_many) / (few - bare_few), in_pool - at_lock
    print(f"Python {platform.python_version()}, gevent {gevent.__version__}, medians of {rounds} rounds")
    print(f"checkout and return, {_FEW:,} greenlets waiting: {few:.1f} us, of which gevent's switch {bare_few:.1f} us")
    print(f"the same, {_MANY:,} greenlets waiting: {many:.1f} us, of which gevent's switch {bare_many:.1f} us")
    print(f"ratio: {many / few:.2f}; of the pool's part: {ratio:.2f} (at most {_MOST_RATIO})")
    print(f"functions called in a checkout and return: {few_calls:.0f} and {many_calls:.0f}")
    print(f"a waiter's memory: {in_pool:,.0f} bytes with its greenlet, which has {at_lock:,.0f} at a bare lock")
    print(f"the pool's part: {own:,.0f} bytes (at most {_MOST_BYTES:,})")
    print(f"statistics: {(on - off) * 1e6:.2f} us of a checkout, on against off: {on / off:.3f}")
    has_grown = ratio > _MOST_RATIO or many_calls > _MOST_CALLS_RATIO * few_calls
    return 1 if has_grown or own > _MOST_BYTES else 0


if __name__ == "__main__":
    sys.exit(main())
