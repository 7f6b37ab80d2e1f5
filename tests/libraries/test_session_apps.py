"""Libraries whose state lives in the session: what the check says to pin is what makes them right."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError

from django_geventpool.session_checks import KNOWN, check_session_apps
from django_geventpool.utils import pinned
from tests.support.drivers import ENGINE
from tests.support.tasks import Task

from .conftest import MakeDatabase

pytest.importorskip("pglock")


@pytest.fixture
def databases(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """DATABASES, to be filled by the test."""
    made: dict[str, Any] = {}
    monkeypatch.setattr(settings, "DATABASES", made)
    for name in KNOWN:
        monkeypatch.delitem(sys.modules, name, raising=False)
    return made


def test_an_app_that_is_not_there_is_not_warned_of(databases: dict[str, Any]) -> None:
    databases["default"] = {"ENGINE": ENGINE, "OPTIONS": {"POOL_MODE": "transaction"}}
    assert check_session_apps() == []


@pytest.mark.parametrize("name", KNOWN)
def test_in_mode_transaction_the_check_says_what_to_pin(
    databases: dict[str, Any], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, name, sys)
    databases["default"] = {"ENGINE": ENGINE, "OPTIONS": {}}
    databases["orders"] = {"ENGINE": ENGINE, "OPTIONS": {"POOL_MODE": "transaction"}}
    (message,) = check_session_apps()
    assert message.id == "geventpool.W011"
    assert message.msg.startswith('DATABASES["orders"] has POOL_MODE "transaction", and ')
    assert name in message.msg
    assert message.hint is not None
    assert 'with django_geventpool.utils.pinned("orders"):' in message.hint


def test_settings_that_are_local_to_transactions_are_not_warned_of(
    databases: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "django_rls_tenants", sys)
    databases["default"] = {"ENGINE": ENGINE, "OPTIONS": {"POOL_MODE": "transaction"}}
    monkeypatch.setattr(settings, "RLS_TENANTS", {"USE_LOCAL_SET": True}, raising=False)
    assert check_session_apps() == []
    monkeypatch.setattr(settings, "RLS_TENANTS", {}, raising=False)
    assert len(check_session_apps()) == 1


def test_a_pinned_advisory_lock_excludes_others_until_its_end(make_database: MakeDatabase) -> None:
    import pglock

    database = make_database(MAX_CONNS=2, POOL_MODE="transaction")

    def is_free() -> bool:
        with pinned(database.alias), pglock.advisory("door", timeout=0, using=database.alias) as acquired:
            free = bool(acquired)
        database.give_back()
        return free

    with pinned(database.alias), pglock.advisory("door", using=database.alias):
        assert not Task(is_free).result()
    assert Task(is_free).result()
    database.assert_whole()


def test_a_pinned_timeout_is_nobody_elses(make_database: MakeDatabase) -> None:
    import pgactivity

    database = make_database(MAX_CONNS=1, POOL_MODE="transaction")

    def run_long() -> None:
        with pgactivity.timeout(milliseconds=20, using=database.alias):
            database.fetch("select pg_sleep(60)")

    with pinned(database.alias), pytest.raises(OperationalError, match="statement timeout"):
        run_long()
    assert Task(database.answer, "show statement_timeout").result() == [("0",)]
