"""Names of others' choosing (of tasks, requests, threads) in messages can't forge lines or control a terminal."""

from __future__ import annotations

import pytest

from celery_geventpool.task import TaskLabel
from django_geventpool.pool.holder import Holder
from django_geventpool.pool.slot import Request, Slot
from django_geventpool.text import printable, show
from django_geventpool.web_request import RequestLabel

EVIL = "x]\n[2026-01-01 WARNING] forged\r\x1b[2J\x07\u2028\u202e\x85\x00\ud800"


def is_clean(text: str) -> bool:
    return text.isprintable() and "forged" in text and bool(text.encode())


def test_a_text_is_shown_in_one_line() -> None:
    assert printable("a\nb\tc\x1b") == r"a\nb\tc\x1b"
    assert printable("Zoë tâche ✓") == "Zoë tâche ✓"
    assert is_clean(printable(EVIL))
    assert printable("é" * 1000, 10) == "é" * 9 + "…"


def test_a_value_is_shown_whatever_it_is() -> None:
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    assert show("a\nb") == r"'a\nb'"
    assert len(show("9" * 5000)) == 80
    assert show(10**5000) == "<int>"
    assert show(nested) == "<list>"
    while nested:  # Freeing it at once would recurse as deep.
        nested = nested.pop()  # type: ignore[assignment]


@pytest.mark.parametrize(
    "label",
    [TaskLabel("shop.report", EVIL), TaskLabel(EVIL, "1"), RequestLabel(EVIL, "/"), RequestLabel("GET", EVIL)],
    ids=["task id", "task name", "method", "path"],
)
def test_labels(label: object) -> None:
    assert is_clean(str(label))


def test_a_task_is_named_in_full() -> None:
    assert str(TaskLabel("shop.tasks.report", "0b4e")) == "task shop.tasks.report[0b4e]"
    assert str(RequestLabel("GET", "/a b\n")) == "request GET /a%20b%0A"


def test_holders_by_whatever_name() -> None:
    holder = Holder(f"thread {EVIL}", None)
    assert is_clean(Slot(Request(holder, None, None)).who())
    # The label that ``describe`` returns may be anything.
    assert is_clean(Slot(Request(holder, EVIL, None)).who())
