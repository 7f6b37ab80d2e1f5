"""An exception that interrupts the closing of a connection is raised, whatever its class; the next try goes on."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

import pytest

from servers.proxy import Proxy
from tests.support.interruptions import interruptions
from tests.support.tasks import FRAMEWORK

from .conftest import MakeDatabase


class TooSlow(Exception):
    """A user's own."""


class TooSlowTimeout(TimeoutError):
    """A user's own."""


class TooSlowOS(OSError):
    """A user's own."""


ERRORS: list[BaseException] = [TooSlow(), TooSlowTimeout(), TooSlowOS(), TooSlowOS(5, "with a number")]


@contextlib.contextmanager
def raised_after(seconds: float, error: BaseException) -> Iterator[None]:
    """Raise an error in the running code after a number of seconds."""
    if FRAMEWORK == "gevent":
        import gevent

        with gevent.Timeout(seconds, error):
            yield
    elif FRAMEWORK == "eventlet":
        import eventlet

        with eventlet.Timeout(seconds, error):
            yield
    else:

        def interrupt(*_: object) -> None:
            raise error

        before = signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("error", [*ERRORS, *interruptions()], ids=repr)
def test_what_interrupts_the_end_of_a_connection_goes_out_and_the_next_try_goes_on(
    make_database: MakeDatabase, error: BaseException
) -> None:
    server = make_database().server
    with Proxy(server.host, server.port) as proxy:
        database = make_database(MAX_CONNS=1, role_limit=2, settings={"HOST": "127.0.0.1", "PORT": proxy.port})
        driver = database.pool.driver
        connection = driver.connect(lambda _connection: None)
        proxy.freeze()
        with pytest.raises(type(error)) as caught, raised_after(0.3, error):
            driver.close(connection)
        assert caught.value is error
        assert database.count() == 1
        proxy.thaw()
        driver.close(connection)
        assert database.count() == 0, "the second try did not wait for the server"
