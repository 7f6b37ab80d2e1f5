"""Waiting for sockets where nothing is patched, and polling them anywhere."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest

from django_geventpool.drivers.waiting import POLLIN, POLLOUT, green_wait, look, wait_function

BOTH = POLLIN | POLLOUT
Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    left, right = socket.socketpair()
    with left, right:
        yield left, right


def fill(end: socket.socket) -> None:
    """Write until the socket's buffer is full."""
    end.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            end.send(bytes(65536))


def test_a_look_tells_what_can_be_done_now(pair: Pair) -> None:
    left, right = pair
    assert look(left.fileno(), POLLIN) == 0
    assert look(left.fileno(), POLLOUT) == POLLOUT
    assert look(left.fileno(), BOTH) == POLLOUT
    right.send(b"x")
    assert look(left.fileno(), POLLIN) == POLLIN
    assert look(left.fileno(), BOTH) == BOTH
    fill(left)
    assert look(left.fileno(), BOTH) == POLLIN
    assert look(left.fileno(), POLLOUT) == 0


def test_a_socket_at_its_end_is_ready_for_whatever_comes(pair: Pair) -> None:
    left, right = pair
    right.close()
    assert look(left.fileno(), POLLIN) == POLLIN
    assert look(left.fileno(), BOTH) & POLLIN


def test_where_nothing_is_patched_a_wait_blocks_its_thread_and_no_more(pair: Pair) -> None:
    left, right = pair
    assert green_wait() is None
    wait = wait_function()
    assert wait(left.fileno(), POLLIN, 0.01) == 0
    right.send(b"x")
    assert wait(left.fileno(), POLLIN, None) == POLLIN
