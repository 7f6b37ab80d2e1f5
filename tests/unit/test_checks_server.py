"""System checks that ask the server: which databases they ask."""

from __future__ import annotations

from typing import Any

import pytest

from django_geventpool.checks import server

from .conftest import pooled


def test_servers_are_asked_only_by_name(databases: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def ask(alias: str) -> list[Any]:
        asked.append(alias)
        return []

    monkeypatch.setattr(server, "check_server", ask)
    databases["default"], databases["other"] = pooled(), {"ENGINE": "django.db.backends.sqlite3"}
    server.check_servers(databases=None)
    assert asked == []
    server.check_servers(databases=["default", "other"])
    assert asked == ["default"]


def test_a_server_is_not_asked_with_wrong_settings(databases: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "check_server", pytest.fail)
    databases["default"] = pooled(OPTIONS={"MAX_CONNS": 0})
    assert server.check_servers(databases=["default"]) == []
