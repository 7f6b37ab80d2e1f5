"""The command-line client, for ``manage.py dbshell``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.backends.postgresql.client import DatabaseClient

from .. import passwords


class PooledClient(DatabaseClient):
    """Django's client, which gets the password itself where the setting is a function."""

    @classmethod
    def settings_to_cmd_args_env(
        cls, settings_dict: dict[str, Any], parameters: Iterable[str]
    ) -> tuple[list[str], dict[str, str] | None]:
        """Return psql's command line and environment."""
        password = passwords.resolve(settings_dict.get("NAME") or "", settings_dict.get("PASSWORD"))
        return super().settings_to_cmd_args_env({**settings_dict, "PASSWORD": password}, list(parameters))
