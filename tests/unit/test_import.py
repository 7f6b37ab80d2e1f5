"""Law 10: imports have no effects, so that code imported before monkey-patching works after it."""

from __future__ import annotations

import pytest

from tests.support.fresh import run_fresh

WATCH = """
import functools, importlib, importlib.util, pkgutil, sys, threading, _thread

made = []

def watched(name, function):
    def call(*args, **kwargs):
        frame = sys._getframe(1)
        # Up to the import that runs: what it is for is seen in the frames before it.
        while frame is not None and "importlib" not in frame.f_code.co_filename:
            module = frame.f_globals.get("__name__", "")
            if module.startswith(("django_geventpool", "celery_geventpool")):
                made.append(f"{name} in {module}")
                break
            frame = frame.f_back
        return function(*args, **kwargs)
    return call

def watch():
    for module in (_thread, threading):
        for name in ("allocate_lock", "RLock", "_allocate_lock", "_CRLock", "_PyRLock", "start_new_thread",
                     "_start_new_thread", "_start_joinable_thread", "local", "Thread"):
            function = getattr(module, name, None)
            if callable(function) and not isinstance(function, type):
                setattr(module, name, watched(name, function))
    # A Lock is a type from Python 3.13 on.
    for name in ("Lock", "local", "Event", "Condition", "Semaphore", "Thread", "Timer"):
        setattr(threading, name, watched(name, getattr(threading, name)))
    if hasattr(functools, "RLock"):  # Before Python 3.12, each cached_property makes one.
        functools.RLock = watched("RLock", functools.RLock)

# PostGIS needs libraries that not every machine has; other modules need a driver, or what comes with an extra.
left_out = [".postgis"]
# Models, and what imports them, need settings.
left_out += ["celery_geventpool.admin", "celery_geventpool.models", ".admin_page.page"]
for needed, modules in {
    "psycopg": tuple(
        f".drivers.psycopg{rest}"
        for rest in ("", "_connection", "_cursors", "_door", "_libpq", "_limited", "_restored")
    ),
    "rich": (".top.command", ".top.table", ".top.tasks"),
    "prometheus_client": (".metrics.prometheus",),
    "opentelemetry": (".metrics.opentelemetry", "celery_geventpool.tracing"),
}.items():
    if importlib.util.find_spec(needed) is None:
        left_out += modules

def import_all():
    for package in ("django_geventpool", "celery_geventpool"):
        path = importlib.import_module(package).__path__
        for found in pkgutil.walk_packages(path, package + "."):
            if not found.name.endswith(tuple(left_out)) and ".postgis." not in found.name:
                importlib.import_module(found.name)
                modules.append(found.name)

modules = []
"""

# Modules are imported a second time, when their own imports are cached, so that only their own effects are seen.
AGAIN = """
import_all()
for name in list(sys.modules):
    if name.startswith(("django_geventpool", "celery_geventpool")):
        del sys.modules[name]
watch()
modules.clear()
import_all()
"""


def test_importing_makes_no_lock_and_no_thread() -> None:
    count, made, threads = run_fresh(
        f"{WATCH}\n{AGAIN}\nprint(len(modules))\nprint(made)\nprint(threading.active_count())"
    )
    assert int(count) >= 25
    assert made == "[]"
    assert threads == "1"


def test_what_makes_locks_and_threads_would_be_seen() -> None:
    """By the same means."""
    lines = run_fresh(
        f"""
{WATCH}
{AGAIN}
from django_geventpool.options import PoolOptions
from django_geventpool.pool import Pool
from tests.support.scripted import ScriptedDriver
pool = Pool("default", ScriptedDriver(), PoolOptions())
pool.putconn(pool.getconn())
print(*sorted(set(made)), sep="\\n")
"""
    )
    assert any("Lock" in line or "lock" in line for line in lines)
    assert any("start_new_thread in django_geventpool.green" in line for line in lines)
    assert any("local in django_geventpool.here" in line for line in lines)


def test_importing_imports_no_framework_and_patches_nothing() -> None:
    (line,) = run_fresh(
        f"{WATCH}\nimport_all()\nfrom psycopg2.extensions import get_wait_callback\n"
        "print([name for name in ('gevent', 'eventlet', 'psycogreen') if name in sys.modules], get_wait_callback())"
    )
    assert line == "[] None"


def test_importing_the_backend_imports_no_celery() -> None:
    (line,) = run_fresh(
        "import sys, django_geventpool, django_geventpool.backends.postgresql_psycopg2.base, django_geventpool.utils\n"
        "print([name for name in ('celery', 'kombu', 'celery_geventpool') if name in sys.modules])"
    )
    assert line == "[]"


PATCH = {
    "gevent": """
from gevent import monkey; monkey.patch_all()
import gevent; spawn, wait = gevent.spawn, lambda task: task.get()
""",
    "eventlet": """
import eventlet; eventlet.monkey_patch()
spawn, wait = eventlet.spawn, lambda task: task.wait()
""",
}

USE = """
import threading, time
from tests.support.scripted import ScriptedDriver
driver = ScriptedDriver()
driver.always("opened", lambda: time.sleep(0.01))
pool = Pool("default", driver, PoolOptions(MAX_CONNS=2))
ticks, served = [], []

def use(number):
    connection = pool.getconn()
    time.sleep(0.001)
    served.append(threading.get_ident())
    if number % 5:
        pool.putconn(connection)

def tick():
    while len(served) < 20:
        ticks.append(None)
        time.sleep(0)

tasks = [spawn(tick), *(spawn(use, number) for number in range(20))]
for task in tasks:
    wait(task)
deadline = time.monotonic() + 30
while pool.stats().reclaimed < 4 and time.monotonic() < deadline:
    time.sleep(0.001)
import sys
from tests.support import inside
locks = {type(lock).__module__.partition(".")[0] for lock in inside.locks_of_housekeeper(pool)}
print(len(set(served)) > 1, driver.peak, pool.stats().reclaimed, len(ticks) > 20, *locks)
"""


@pytest.mark.parametrize("used_before", [False, True])
@pytest.mark.parametrize("framework", ["gevent", "eventlet"])
def test_what_was_imported_before_monkey_patching_works_after_it(framework: str, used_before: bool) -> None:
    """Even if a pool was used before, by code that runs at import, say, a new pool is green."""
    before = """
from tests.support.scripted import ScriptedDriver as EarlyDriver
early = Pool("early", EarlyDriver(), PoolOptions())
early.putconn(early.getconn())
early.close()
"""
    (line,) = run_fresh(
        f"""
import threading, django_geventpool, django_geventpool.backends.postgresql_psycopg2.base
# Gevent, when it patches, looks into every object that there is, also into settings that don't exist.
from django.conf import settings; settings.configure()
from django_geventpool.options import PoolOptions
from django_geventpool.pool import Pool
{before if used_before else ""}
{PATCH[framework]}
{USE}
"""
    )
    assert line == f"True 2 4 True {framework}"
