"""Law 11, at its root: a forked child knows that it is one, whoever has forked it and whatever interrupts it."""

from __future__ import annotations

import sys

import pytest

from tests.support.fresh import run_fresh

CHILD = """
import os, sys
sys.platform = {platform!r}
from django_geventpool import process
from tests.support.forks import fork_in_c
sys.platform = {real!r}

def in_child(function, fork=os.fork):
    sys.stdout.flush()
    pid = fork()
    if pid == 0:
        function()
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(pid, 0)

mine = process.mark()
"""
#: With memory that is wiped, where the system has that, and without.
PLATFORMS = (sys.platform, "another")


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("fork", ["os.fork", "fork_in_c"])
def test_a_child_is_another_process(platform: str, fork: str) -> None:
    code = """
    def look():
        print(process.is_current(mine), process.is_current(process.mark()), process.mark() is process.mark())
        of_child = process.mark()
        in_child(lambda: print(process.is_current(mine), process.is_current(of_child)), FORK)
    in_child(look, FORK)
    print(process.is_current(mine))
    """
    assert run(code.replace("FORK", fork), platform) == ["False True True", "False False", "True"]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_child_begins_before_it_is_asked_for_anything(platform: str) -> None:
    code = """
    process.at_begin(lambda: print("begun", process.is_current(mine)))
    in_child(lambda: print("asks", process.is_current(mine)))
    in_child(lambda: print("asks", process.is_current(mine)), fork_in_c)
    """
    assert run(code, platform) == ["begun False", "asks False"] * 2


def test_threads_of_a_child_wait_until_it_has_begun() -> None:
    code = """
    import threading, time
    begun = []

    def begin():
        time.sleep(0.01)  # Lets the others run.
        begun.append(1)

    process.at_begin(begin)

    def look():
        seen = []
        ask = lambda: seen.append((process.is_current(mine), list(begun)))
        threads = [threading.Thread(target=ask) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(seen == [(False, [1])] * 5)

    in_child(look, fork_in_c)
    """
    assert run(code) == ["True"]


def test_advice_that_the_system_accepts_and_does_not_follow_is_seen_through() -> None:
    """As under emulators."""
    code = """
    import mmap, os

    class Page(mmap.mmap):
        def madvise(self, *advice):
            pass

    mmap.mmap = Page
    from django_geventpool import process

    mine = process.mark()
    pid = os.fork()
    if pid == 0:
        print(process.is_current(mine), flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
    """
    assert run_fresh(code) == ["False"]


def test_what_a_child_begins_with_is_done_again_if_it_was_interrupted() -> None:
    code = """
    class Stop(BaseException):
        pass

    calls = []

    def begin():
        calls.append(1)
        if len(calls) == 1:
            raise Stop  # As a signal handler may.

    process.at_begin(begin)
    sys.unraisablehook = lambda raised: print("a hook raised", raised.exc_type.__name__)
    in_child(lambda: print(process.is_current(mine), process.is_current(mine), len(calls)))
    """
    assert run(code) == ["a hook raised Stop", "False False 2"]


def test_a_child_goes_on_if_what_it_begins_with_fails_again() -> None:
    code = """
    calls = []

    def begin():
        calls.append(1)
        raise ValueError("never")

    process.at_begin(begin)
    sys.unraisablehook = lambda raised: print("a hook raised", raised.exc_type.__name__)

    def look():
        try:
            process.is_current(mine)
        except ValueError as error:
            print(error)
        print(process.is_current(mine), len(calls))

    in_child(look)
    """
    assert run(code) == ["a hook raised ValueError", "never", "False 2"]


def run(code: str, platform: str = sys.platform) -> list[str]:
    lines = code.splitlines()
    margin = len(lines[1]) - len(lines[1].lstrip())
    text = "\n".join(line[margin:] for line in lines)
    return run_fresh(CHILD.format(platform=platform, real=sys.platform) + text)
