"""The system check of apps with state in the session; the suite ``libraries`` shows that its hints are right."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from django.conf import settings

from django_geventpool.checks.session_apps import KNOWN, check_session_apps
from django_geventpool.checks.settings import check_databases
from tests.support.drivers import ENGINE

#: The connection goes back after each transaction, whatever is in its session.
LOSING = {"POOL_MODE": "transaction", "SESSION_STATE": "ignore"}


@pytest.fixture
def databases(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The DATABASES, for the test to fill."""
    made: dict[str, Any] = {}
    monkeypatch.setattr(settings, "DATABASES", made)
    for name in KNOWN:
        monkeypatch.delitem(sys.modules, name, raising=False)
    return made


def test_an_app_that_is_not_there_is_not_warned_of(databases: dict[str, Any]) -> None:
    databases["default"] = {"ENGINE": ENGINE, "OPTIONS": LOSING}
    assert check_session_apps() == []


@pytest.mark.parametrize("name", KNOWN)
def test_in_mode_transaction_the_check_says_what_to_pin(
    databases: dict[str, Any], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, name, sys)
    databases["default"] = {"ENGINE": ENGINE, "OPTIONS": {}}
    databases["orders"] = {"ENGINE": ENGINE, "OPTIONS": LOSING}
    (message,) = check_session_apps()
    assert message.id == "geventpool.W011"
    assert message.msg.startswith('DATABASES["orders"] has POOL_MODE "transaction" and SESSION_STATE "ignore", and ')
    assert name in message.msg
    assert message.hint is not None
    assert 'Set SESSION_STATE to "pin".' in message.hint
    assert 'with django_geventpool.utils.pinned("orders"):' in message.hint


@pytest.mark.parametrize("policy", ["pin", "raise"])
def test_where_nothing_goes_wrong_there_is_no_warning(
    databases: dict[str, Any], monkeypatch: pytest.MonkeyPatch, policy: str
) -> None:
    monkeypatch.setitem(sys.modules, "pglock", sys)
    databases["default"] = {"ENGINE": ENGINE, "OPTIONS": {"POOL_MODE": "transaction"}}
    databases["orders"] = {"ENGINE": ENGINE, "OPTIONS": {"POOL_MODE": "transaction", "SESSION_STATE": policy}}
    assert check_session_apps() == []


def test_settings_that_are_local_to_transactions_are_not_warned_of(
    databases: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "django_rls_tenants", sys)
    databases["default"] = {"ENGINE": ENGINE, "OPTIONS": LOSING}
    monkeypatch.setattr(settings, "RLS_TENANTS", {"USE_LOCAL_SET": True}, raising=False)
    assert check_session_apps() == []
    monkeypatch.setattr(settings, "RLS_TENANTS", {}, raising=False)
    assert len(check_session_apps()) == 1


@pytest.mark.parametrize("given", [None, [("POOL_MODE", "transaction")], "POOL_MODE=transaction"])
def test_options_that_are_no_dictionary_are_left_to_the_check_of_the_settings(
    databases: dict[str, Any], given: object
) -> None:
    databases["default"] = {"ENGINE": ENGINE, "OPTIONS": given}
    assert check_session_apps() == []
    assert [message.id for message in check_databases()] == ["geventpool.E001"]
