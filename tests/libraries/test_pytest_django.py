"""The fixture ``no_session_state`` beside pytest-django, which keeps a test in one transaction."""

from __future__ import annotations

import pytest

from tests.support.inner_pytest import InnerPytest, outcomes

from .conftest import MODES, MakeDatabase

pytest.importorskip("pytest_django")

SOURCE = """
import pytest
from django.db import connection, transaction
from django.test import TestCase, TransactionTestCase

def run(*texts):
    with connection.cursor() as cursor:
        for text in texts:
            cursor.execute(text)

def leave():
    run("SET work_mem = '77MB'")

def leave_lock():
    run("select pg_advisory_lock_shared(84001)")

def undo():
    with transaction.atomic():
        run("SET work_mem = '77MB'", "LISTEN door", "select pg_advisory_lock_shared(84002)")
        run("RESET work_mem", "UNLISTEN door", "select pg_advisory_unlock_shared(84002)")
    with pytest.raises(Exception, match="division"), transaction.atomic():
        run("select 1 / 0")

WAYS = {"leave": leave, "leave_lock": leave_lock, "undo": undo}
ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)

@pytest.mark.django_db
@ways
def test_marked(way):
    way()

@pytest.mark.django_db(transaction=True)
@ways
def test_marked_with_transactions(way):
    way()

@ways
def test_db(db, way):
    way()

@ways
def test_transactional_db(transactional_db, way):
    way()

class TestInTransaction(TestCase):
    test_leave = staticmethod(leave)
    test_undo = staticmethod(undo)

class TestWithTransactions(TransactionTestCase):
    test_leave = staticmethod(leave)
    test_undo = staticmethod(undo)
"""


@MODES
def test_what_is_left_fails_the_test(
    make_database: MakeDatabase, mode: str, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = make_database(MAX_CONNS=2, POOL_MODE=mode, role_limit=20)
    database.server.query(f"ALTER ROLE {database.role} CREATEDB")
    database.settings["TEST"] = {"NAME": f"test_of_{database.role}"}
    inner = InnerPytest(pytester, monkeypatch, {"default": database.settings})
    inner.pytester.makeini("[pytest]\nusefixtures = no_session_state")
    inner.pytester.makepyfile(test_inner=SOURCE)
    result = inner.run("-p", "pytest_django.plugin", "--no-migrations")
    found = outcomes(result)
    assert len(found) == 16, result.stdout.str()
    for name, outcome in found.items():
        assert outcome == (["PASSED", "ERROR"] if "leave" in name else ["PASSED"]), f"{name}\n{result.stdout.str()}"
