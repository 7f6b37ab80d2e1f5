"""pytest-xdist: each of its processes has a test database and a pool of its own."""

from __future__ import annotations

import os
import sys

import pytest

from servers.helper import ROOT

from .conftest import MakeDatabase

pytest.importorskip("pytest_django")
pytest.importorskip("xdist")

TESTS = """
import os, threading
import pytest
from django.db import connection
from django_geventpool import pools
from django_geventpool.utils import close_connection

def name():
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_database()")
        return cursor.fetchone()[0]

@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", range(8))
def test_each(number):
    own = name()
    assert own.endswith("_" + os.environ["PYTEST_XDIST_WORKER"])
    found = []
    thread = threading.Thread(target=close_connection(lambda: found.append(name())))
    thread.start()
    thread.join()
    assert found == [own]
    stats = pools["default"].stats()
    assert stats.limit == 2 and stats.size <= 2
"""


def test_each_process_has_its_own(
    make_database: MakeDatabase, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = make_database(MAX_CONNS=2, role_limit=20)
    database.server.query(f"ALTER ROLE {database.role} CREATEDB")
    settings = {**database.settings, "TEST": {"NAME": f"test_of_{database.role}"}}
    path = os.pathsep.join(filter(None, (str(pytester.path), os.environ.get("PYTHONPATH"), str(ROOT))))
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(
        settings_of_test=f"DATABASES = {{'default': {settings!r}}}\nUSE_TZ = True\nINSTALLED_APPS = []",
        test_inner=TESTS,
    )
    plugins = ("-p", "xdist.plugin", "-p", "pytest_django.plugin")
    result = pytester.run(
        *(sys.executable, "-m", "pytest", *plugins, "-n", "2", "--ds=settings_of_test", "-p", "no:cacheprovider")
    )
    result.assert_outcomes(passed=8)
    assert database.server.query("SELECT 1 FROM pg_database WHERE datname LIKE 'test_of_%'") == []
