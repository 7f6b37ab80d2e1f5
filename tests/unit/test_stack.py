"""Which frames are shown of the code that took a connection."""

from __future__ import annotations

import linecache
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from django_geventpool.pool import stack


def wrapper_of(module: str) -> Callable[[Callable[[], Any]], Any]:
    """Return a function that calls another one and belongs to a module of this name."""
    namespace: dict[str, Any] = {"__name__": module}
    exec("def wrapper(function):\n    return function()", namespace)
    wrapper: Callable[[Callable[[], Any]], Any] = namespace["wrapper"]
    return wrapper


@pytest.mark.parametrize(
    "module",
    ["django.db.models.query", "sentry_sdk.integrations.django", "opentelemetry.instrumentation.dbapi", "ddtrace.x"],
)
def test_frames_of_libraries_are_left_out(module: str) -> None:
    def take_it_here() -> traceback.StackSummary:
        taken: traceback.StackSummary = wrapper_of(module)(lambda: wrapper_of(module)(stack.capture))
        return taken

    names = [frame.name for frame in take_it_here()]
    assert names[:3] == ["<lambda>", "take_it_here", "test_frames_of_libraries_are_left_out"]


@pytest.mark.parametrize("module", ["djangopony.models", "shop.django.models", "__main__"])
def test_frames_of_packages_with_similar_names_stay(module: str) -> None:
    assert wrapper_of(module)(stack.capture)[0].name == "wrapper"


def test_where_no_frame_is_a_users_all_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "is_library_frame", lambda _frame: True)
    assert stack.capture()[0].name == "test_where_no_frame_is_a_users_all_are_shown"


def test_no_source_is_read_until_it_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        for name in ("checkcache", "lazycache", "getline", "getlines", "updatecache"):
            patch.setattr(linecache, name, lambda *_args: pytest.fail("source was read"))
        taken = stack.capture()
    assert taken[0].line == "taken = stack.capture()"


def test_so_many_frames_at_the_most() -> None:
    def call(depth: int) -> traceback.StackSummary:
        return call(depth - 1) if depth else stack.capture()

    assert len(call(100)) == stack.LIMIT
