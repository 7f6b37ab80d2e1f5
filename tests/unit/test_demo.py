"""The demo's verdict: what counts as expected, and that its table fits a terminal of 80 columns."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from demo.options import parse_options
from demo.outcome import Outcome

FULL = "OperationalError: FATAL: sorry, too many clients already, and remaining connection slots are reserved"


def outcome(*arguments: str, **numbers: Any) -> Outcome:
    good = {"tasks": 9, "modules": 9, "definitions": 99, "lost": 0, "wrong_modules": 0, "failed": 0, "reasons": []}
    measured = {"seconds": 2.0, "peak": 9, "samples": 100, "pool": None}
    return Outcome(options=parse_options(arguments), **{**good, **measured, **numbers})


def shown(result: Outcome) -> str:
    console = Console(file=io.StringIO(), width=80, highlight=False)
    result.print(console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_tasks_that_a_full_server_refuses_are_expected_without_a_pool() -> None:
    result = outcome("--stock", failed=5, reasons=[(FULL, 5)], peak=26)
    assert result.is_as_expected
    assert not result.is_good
    assert "5, as expected without a pool" in shown(result)
    assert "As expected without a pool" in shown(result)


@pytest.mark.parametrize(
    ("arguments", "numbers"),
    [
        ((), {"failed": 5, "reasons": [(FULL, 5)]}),
        (("--stock",), {"failed": 5, "reasons": [(FULL, 4), ("ImportError: no library", 1)]}),
        (("--stock",), {"failed": 5, "reasons": [("OperationalError: server closed the connection unexpectedly", 5)]}),
        (("--stock",), {"failed": 5, "reasons": [(FULL, 5)], "lost": 1}),
        (("--stock",), {"failed": 5, "reasons": [(FULL, 5)], "wrong_modules": 1}),
        ((), {"peak": 11}),
    ],
)
def test_everything_else_is_not(arguments: tuple[str, ...], numbers: dict[str, Any]) -> None:
    result = outcome(*arguments, **numbers)
    assert not result.is_as_expected
    assert "As expected" not in shown(result)


def test_without_a_pool_a_server_may_have_room_for_all() -> None:
    assert outcome("--stock", peak=90).is_as_expected


@pytest.mark.parametrize("arguments", [(), ("--stock",), ("--pool", "prefork", "--concurrency", "100")])
def test_it_fits_eighty_columns(arguments: tuple[str, ...]) -> None:
    result = outcome(*arguments, failed=12345, reasons=[(FULL, 12345)], tasks=12345, seconds=123456.7)
    assert max(map(len, shown(result).splitlines())) <= 80


def test_there_is_no_page_of_pools_without_a_pool() -> None:
    assert parse_options(["--page"]).page
    with pytest.raises(SystemExit):
        parse_options(["--page", "--stock"])
