"""The declarations of options: they follow their rules, and texts that repeat them are equal to them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from django_geventpool.options import PoolOptions
from django_geventpool.options.declared import DECLARED, Option
from django_geventpool.options.kinds import Count, Seconds
from tests.conftest import ROOT

HEADING = "| option | default | meaning |\n|---|---|---|\n"


def row(name: str, option: Option) -> str:
    """Return the beginning of an option's row in the table; more may follow in the table."""
    default: Any = getattr(PoolOptions(), name)
    if isinstance(option.kind, Count) and default is None:
        default = f"`{option.kind.none}`"
    elif isinstance(default, str):
        default = f'"{default}"'
    return f"| `{name}` | {default} | {option.meaning}"


def test_the_table_has_each_option_in_order() -> None:
    table = (ROOT / "docs" / "options.md").read_text().partition(HEADING)[2].partition("\n\n")[0].splitlines()
    wanted = [row(name, option) for name, option in DECLARED.items()]
    written = [next((start for start in wanted if line.startswith(start)), f"no such option: {line}") for line in table]
    assert written == wanted


def test_meanings_say_what_none_and_zero_do() -> None:
    for name, option in DECLARED.items():
        if isinstance(option.kind, Seconds):
            takes_none_by_default = getattr(PoolOptions(), name) is None
            assert takes_none_by_default or "None" in option.meaning, name


def test_no_synonym_stands_for_two_options_or_is_one() -> None:
    plain = [name.replace("_", "").casefold() for name in DECLARED]
    plain += [other.replace("_", "") for option in DECLARED.values() for other in option.synonyms]
    assert [name for name, count in Counter(plain).items() if count > 1] == []


@pytest.mark.parametrize("name", DECLARED)
def test_defaults_are_taken_when_they_are_given(name: str) -> None:
    default = getattr(PoolOptions(), name)
    assert PoolOptions(**{name: default}) == PoolOptions()
