"""The keys that ``top`` reads."""

from __future__ import annotations

import io
import os
import pty
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from celery_geventpool.top.keys import Keys


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Make the input a terminal; yield the descriptor that types on it."""
    keyboard, screen = pty.openpty()
    with os.fdopen(screen) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield keyboard
    os.close(keyboard)


def test_a_key_is_read_at_once_and_the_last_of_several_counts(terminal: int) -> None:
    with Keys() as keys:
        os.write(terminal, b"t")
        assert keys.wait(60) == "t"
        os.write(terminal, b"xt")
        assert keys.wait(60) in ("x", "t")


def test_the_terminal_is_as_it_was_before(terminal: int) -> None:
    before = termios.tcgetattr(sys.stdin.fileno())
    with Keys():
        assert termios.tcgetattr(sys.stdin.fileno()) != before
    assert termios.tcgetattr(sys.stdin.fileno()) == before


@pytest.mark.parametrize("is_file", [True, False])
def test_without_a_terminal_there_are_no_keys(monkeypatch: pytest.MonkeyPatch, is_file: bool) -> None:
    with Path(os.devnull).open() as file:
        monkeypatch.setattr(sys, "stdin", file if is_file else io.StringIO("t"))
        began = time.monotonic()
        with Keys() as keys:
            assert keys.wait(0.05) is None
        assert time.monotonic() - began >= 0.05


def test_in_the_background_the_terminal_is_left_alone(terminal: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "tcgetpgrp", lambda _descriptor: os.getpgrp() + 1)
    before = termios.tcgetattr(sys.stdin.fileno())
    with Keys() as keys:
        assert termios.tcgetattr(sys.stdin.fileno()) == before
        assert keys.wait(0) is None


def test_without_any_input_there_are_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with Keys() as keys:
        assert keys.wait(0) is None
