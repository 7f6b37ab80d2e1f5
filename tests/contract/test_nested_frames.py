"""Looking for who waits for whom, in frames of others, changes nothing there."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from typing import Any

from django_geventpool.pool import kinship


def test_looking_at_frames_keeps_nothing_alive() -> None:
    """Python 3.12 and older have a frame keep what its variables were when somebody looked."""
    looked, go_on, gone = threading.Event(), threading.Event(), threading.Event()

    class Thing:
        pass

    def hold() -> None:
        thing = Thing()
        weakref.finalize(thing, gone.set)
        looked.wait()
        del thing
        go_on.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    running = kinship.parents_of([threading.Thread()], [holder])
    assert running == (set(), set())
    looked.set()
    assert gone.wait(30)
    go_on.set()
    holder.join()


class _Sullen(type):
    """The class of a class that fails when it is asked for what it hasn't."""

    def __getattr__(cls, name: str) -> Any:
        raise KeyError(name)


class _Thing(metaclass=_Sullen):
    pass


def test_looking_at_frames_leaves_alone_what_is_there() -> None:
    """What somebody has of ``locals()`` is his, and nothing is known of the classes of what he has."""

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
        assert set(kinship._waited_for(frame)) == {thread}
        assert mine.keys() >= {"thing", "thread"}
