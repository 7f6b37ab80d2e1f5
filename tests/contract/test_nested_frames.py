"""Looking into other holders' frames for who waits for whom changes nothing there."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from typing import Any

from django_geventpool.pool import kinship
from tests.support import inside


def test_looking_at_frames_keeps_nothing_alive() -> None:
    """In Python 3.12 and older, a frame keeps the values that its variables had when ``f_locals`` was read."""
    looked, go_on, gone = threading.Event(), threading.Event(), threading.Event()

    class Thing:
        pass

    def hold() -> None:
        thing = Thing()
        weakref.finalize(thing, gone.set)
        looked.wait()
        del thing
        go_on.wait()

    holder = threading.Thread(target=hold, daemon=True)
    holder.start()
    running = kinship.parents_of([threading.Thread()], [holder])
    assert running == (set(), set())
    looked.set()
    assert gone.wait(30)
    go_on.set()
    holder.join()


class _Sullen(type):
    """A metaclass whose classes raise when a missing attribute is read."""

    def __getattr__(cls, name: str) -> Any:
        raise KeyError(name)


class _Thing(metaclass=_Sullen):
    pass


def test_looking_at_frames_leaves_alone_what_is_there() -> None:
    """The dictionary of ``locals()`` is the frame's own, and its values may be of any class."""

    def hold() -> Iterator[dict[str, Any]]:
        thing = _Thing()
        thread = threading.Thread()
        yield {"thread": thread}
        mine = locals()
        yield mine
        yield mine

    holding = hold()
    thread = next(holding)["thread"]
    for _ in range(2):
        mine = next(holding)
        frame = holding.gi_frame  # type: ignore[attr-defined]
        assert set(inside.waited_for(frame)) == {thread}
        assert mine.keys() >= {"thing", "thread"}
