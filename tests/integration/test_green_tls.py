"""Greenlets that are killed, or time out, in the middle of a query over TLS."""

from __future__ import annotations

import pytest

from tests.support.tasks import Interruption
from tests.support.tls import SSL_MODES, TlsServer
from tests.support.victims import interrupt_all, start_victims

from .conftest import MakeDatabase
from .test_green_kill_query import BLIND, INTERRUPTIONS

pytestmark = pytest.mark.frameworks("gevent", "eventlet")


@pytest.mark.parametrize("how", INTERRUPTIONS)
@pytest.mark.parametrize("ssl_mode", SSL_MODES)
def test_an_interrupted_query_ends_on_the_server(
    make_database: MakeDatabase, tls: TlsServer, ssl_mode: str, how: Interruption
) -> None:
    options = tls.options(ssl_mode, options=BLIND)
    database = make_database(server=tls.postgres, MAX_CONNS=3, CONN_WAIT_TIMEOUT=60, **options)
    interrupt_all(database, start_victims(database, 3), how)
    database.assert_whole()
