"""The functions that tests call in fresh processes, see tests.support.program."""

from __future__ import annotations

import importlib
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from servers.helper import ROOT

from .tasks import FRAMEWORK, Task, results


def start_program(
    function: str,
    settings: dict[str, Any],
    *arguments: str,
    aliases: Mapping[str, dict[str, Any]] | None = None,
    prefix: Sequence[str] = (),
    **environment: str,
) -> subprocess.Popen[bytes]:
    """Start a process, patched as this one is, that calls a function of this module.

    :param settings: of the database "default".
    :param aliases: the settings of further databases.
    :param prefix: a command that runs the process.
    """
    databases = json.dumps({"default": settings, **(aliases or {})})
    command = [*prefix, sys.executable, "-m", "tests.support.program", FRAMEWORK, function, databases]
    return subprocess.Popen(
        [*command, *arguments],
        cwd=ROOT,
        env={**os.environ, "TEST_FRAMEWORK": FRAMEWORK, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def output_of(process: subprocess.Popen[bytes], timeout: float = 120) -> str:
    """Wait for a process to end, and return its output."""
    try:
        return process.communicate(timeout=timeout)[0].decode()
    finally:
        process.kill()
        process.wait()


def work(count: str) -> None:
    """Ask the database many questions at once."""
    import django
    from django.db import connection

    django.setup()

    def ask(number: int) -> bool:
        with connection.cursor() as cursor:
            cursor.execute("select %s::int, pg_sleep(0.01)::text", [number])
            answer = cursor.fetchone()
        connection.close()
        return bool(answer == (number, ""))

    answers = results([Task(ask, number) for number in range(int(count))], 120)
    print(f"{answers.count(True)} right")


def run_pytest(*arguments: str) -> None:
    """Run pytest, in the current folder."""
    import django
    import pytest

    django.setup()
    sys.exit(pytest.main([*arguments]))


def look_up(name: str) -> None:
    """Connect to a host whose name is never resolved, and ask the database meanwhile."""
    import django
    from django.db import connections

    django.setup()
    connections.settings["elsewhere"] = {**connections.settings["default"], "HOST": name}

    def ask(alias: str) -> object:
        try:
            with connections[alias].cursor() as cursor:
                cursor.execute("select 7")
                return cursor.fetchone()
        finally:
            connections[alias].close()

    ask("default")
    slow = Task(ask, "elsewhere")
    time.sleep(0)  # Lets it run until it waits, or ends.
    print(ask("default"), "meanwhile" if not slow.ended else "afterwards")
    slow.wait(60)
    print(slow.error)


def hang() -> None:
    """Run a query that takes ten minutes."""
    import django
    from django.db import connection

    django.setup()
    with connection.cursor() as cursor:
        cursor.execute("select pg_sleep(600)")


def ask_with_log(*modules: str) -> None:
    """Import modules, then ask the database from several greenlets; print the log and whether psycopg2 is green."""
    for module in modules:
        importlib.import_module(module)
    import django
    from django.db import connection

    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(name)s: %(message)s")
    django.setup()
    from psycopg2 import extensions

    def ask() -> None:
        with connection.cursor() as cursor:
            cursor.execute("select 1")
        connection.close()

    results([Task(ask) for _ in range(10)])
    print(f"green: {extensions.get_wait_callback() is not None}")


def ask() -> None:
    """Ask the database once."""
    import django
    from django.db import connection

    django.setup()
    with connection.cursor() as cursor:
        cursor.execute("select 7")
        print(cursor.fetchone())


def set_up() -> None:
    """Start Django and ask for the database's wrapper, but don't connect."""
    import django
    from django.db import connection

    django.setup()
    print(connection.vendor)


def ask_without_driver() -> None:
    """Ask the database in a process that has no driver."""
    from importlib.machinery import ModuleSpec, PathFinder

    class WithoutDriver(PathFinder):
        @classmethod
        def find_spec(cls, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
            if fullname.partition(".")[0] in ("psycopg2", "psycopg"):
                return None
            return super().find_spec(fullname, path, target)

    for name in [name for name in sys.modules if name.partition(".")[0] == "psycopg2"]:
        del sys.modules[name]
    sys.meta_path[sys.meta_path.index(PathFinder)] = WithoutDriver
    ask()


def run_tests(*arguments: str) -> None:
    """Run Django's own test runner."""
    from django.core.management import execute_from_command_line

    execute_from_command_line(["manage.py", "test", "tests.testapp", *arguments])


def clone_test_database() -> None:
    """Do what Django's test runner does before and after it runs tests in two processes."""
    import django
    from django.db import connection
    from django.test.utils import setup_databases, teardown_databases

    django.setup()
    old_config = setup_databases(verbosity=1, interactive=False, parallel=2)
    try:
        with connection.cursor() as cursor:
            cursor.execute("select current_database()::text")
            (name,) = cursor.fetchone()
            cursor.execute("select datname::text from pg_database where datname like %s order by 1", [f"{name}%"])
            print("databases", [row[0] for row in cursor.fetchall()])
    finally:
        teardown_databases(old_config, verbosity=1, parallel=2)


def manage(*arguments: str) -> None:
    """Run a management command, as manage.py does."""
    from django.core.management import execute_from_command_line

    execute_from_command_line(["manage.py", *arguments])


def hold_at_exit(how: str) -> None:
    """Start Django, and end while greenlets or threads, or the main one, hold connections."""
    import threading

    import django
    from django.db import connection, connections

    django.setup()
    held: list[object] = []

    def query() -> None:
        with connection.cursor() as cursor:
            cursor.execute("select 1")
            held.append(cursor.fetchone())

    def hold() -> None:
        query()
        threading.Event().wait()

    if how == "threads":
        for number in range(1, 4):
            threading.Thread(target=hold, daemon=True).start()
            while len(held) < number:
                time.sleep(0.01)
    query()
    if how == "cycle":
        # Garbage that is collected when the interpreter is nearly gone.
        wrapper = connections["default"].copy()
        wrapper.cursor().execute("select 1")
        wrapper.itself = [wrapper]
    if how == "module":
        # Modules are emptied late, ours after this one.
        logging.kept = [connections["default"], connections]  # type: ignore[attr-defined]
    print("held")
