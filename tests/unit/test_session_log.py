"""What the log says of session state: once for each kind and task, whatever the number of tasks."""

from __future__ import annotations

import pytest

from django_geventpool.backends import session_log
from django_geventpool.pool.counters import StateKind
from tests.support.waiting import eventually


@pytest.fixture(autouse=True)
def told_nothing(monkeypatch: pytest.MonkeyPatch) -> set[object]:
    told: set[object] = set()
    monkeypatch.setattr(session_log, "_warned", told)
    return told


def tell(who: str, *kinds: StateKind) -> None:
    session_log.warn_once("default", who, kinds, stays=False)


def await_messages(caplog: pytest.LogCaptureFixture, count: int) -> list[str]:
    """Return the messages, each of which comes from a thread of its own."""
    eventually(lambda: len(caplog.messages) >= count, f"{count} messages")
    assert len(caplog.messages) == count
    return sorted(caplog.messages)


def test_each_kind_of_each_task_is_told_once_with_the_line(caplog: pytest.LogCaptureFixture) -> None:
    for number in range(100):
        tell(f"task shop.pay[{number}-x]", "setting")
        tell(f"task shop.pay2[{number}-x]", "setting", "listen")
        tell(f"task shop.pay2[{number}-x]", "listen")
        tell(f"thread Thread-{number} (work)", "listen")
    first, second, third = await_messages(caplog, 3)
    assert "task shop.pay leaves something" in first
    assert "(setting), at " in first
    assert f"{__file__}:" in first
    assert "task shop.pay2 leaves something" in second
    assert "(setting), LISTEN (listen), at" in second
    assert "thread Thread-0 (work) leaves" in third


def test_its_memory_is_bounded(monkeypatch: pytest.MonkeyPatch, told_nothing: set[object]) -> None:
    monkeypatch.setattr(session_log, "_REMEMBERED", 10)
    for number in range(100):
        tell(f"task shop.pay{number}[x]", "setting")
        assert len(told_nothing) <= 10
