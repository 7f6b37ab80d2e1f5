"""Which framework is active is told by what is monkey-patched, never by what can be imported."""

from __future__ import annotations

import pytest

from tests.support.fresh import run_fresh

#: When gevent patches, it reads attributes of every object, unconfigured settings too.
CONFIGURE = "from django.conf import settings; settings.configure()"
PRINT = "from django_geventpool import green; print(green.active())"


@pytest.mark.parametrize(
    ("before", "framework"),
    [
        ("", "threads"),
        ("import gevent, gevent.monkey, eventlet, eventlet.patcher", "threads"),
        ("import eventlet; from gevent import monkey; monkey.patch_all()", "gevent"),
        ("import gevent.monkey, eventlet; eventlet.monkey_patch()", "eventlet"),
        ("from gevent import monkey; monkey.patch_socket()", "gevent"),
        ("import eventlet; eventlet.monkey_patch(socket=True)", "eventlet"),
        ("from gevent import monkey; monkey.patch_time()", "threads"),
        ("import eventlet; eventlet.monkey_patch(os=True)", "threads"),
    ],
)
def test_the_framework_that_has_patched_the_sockets_is_active(before: str, framework: str) -> None:
    assert run_fresh(f"{before}\n{PRINT}") == [framework]


@pytest.mark.parametrize(
    "patch", ["from gevent import monkey; monkey.patch_all()", "import eventlet; eventlet.monkey_patch()"]
)
def test_patching_counts_from_when_it_is_done(patch: str) -> None:
    before, after = run_fresh(f"{CONFIGURE}\n{PRINT}\n{patch}\nprint(green.active())")
    assert before == "threads"
    assert after != "threads"


def test_looking_imports_no_framework() -> None:
    lines = run_fresh(f"{PRINT}\nimport sys; print([name for name in ('gevent', 'eventlet') if name in sys.modules])")
    assert lines == ["threads", "[]"]


@pytest.mark.parametrize(
    ("before", "callback"),
    [
        ("import gevent.monkey, eventlet.patcher", "False None"),
        ("import eventlet; from gevent import monkey; monkey.patch_all()", "True django_geventpool"),
        ("import gevent; import eventlet; eventlet.monkey_patch()", "True django_geventpool"),
    ],
)
def test_psycopg2_is_made_green_for_the_active_framework_only(before: str, callback: str) -> None:
    lines = run_fresh(
        f"""
{before}
from django_geventpool import patch_psycopg
from psycopg2.extensions import get_wait_callback
done = patch_psycopg()
again = patch_psycopg()
assert done == again
callback = get_wait_callback()
print(done, callback and callback.__module__.partition(".")[0])
"""
    )
    assert lines == [callback]


def test_psycopg2_is_not_imported_to_be_left_as_it_is() -> None:
    lines = run_fresh(
        "from django_geventpool import patch_psycopg; patch_psycopg(); import sys; print('psycopg2' in sys.modules)"
    )
    assert lines == ["False"]


@pytest.mark.parametrize(
    "patch", ["", "from gevent import monkey; monkey.patch_all()", "import eventlet; eventlet.monkey_patch()"]
)
def test_a_socket_is_looked_at_without_waiting(patch: str) -> None:
    lines = run_fresh(
        f"""
{patch}
import socket
from django_geventpool import green
ours, theirs = socket.socketpair()
looks = [green.is_readable(ours.fileno())]
theirs.send(b"x")
looks.append(green.is_readable(ours.fileno()))
ours.recv(1)
looks.append(green.is_readable(ours.fileno()))
theirs.close()
looks.append(green.is_readable(ours.fileno()))
print(looks)
"""
    )
    assert lines == ["[False, True, False, True]"]


@pytest.mark.parametrize(
    "patch", ["", "from gevent import monkey; monkey.patch_all()", "import eventlet; eventlet.monkey_patch()"]
)
def test_a_native_thread_does_not_hold_up_the_greenlets(patch: str) -> None:
    lines = run_fresh(
        f"""
{patch}
import threading
from django_geventpool import green
get_native_id = green.original("threading", "get_native_id")
semaphore = green.original("_thread", "allocate_lock")()
semaphore.acquire()
done = []
def work():
    semaphore.acquire()
    done.append(get_native_id())
green.start_native_thread(work)
others = []
thread = threading.Thread(target=lambda: others.append(1))
thread.start()
thread.join()
assert others and not done
semaphore.release()
import time
while not done:
    time.sleep(0.001)
print(done[0] != get_native_id())
"""
    )
    assert lines == ["True"]
