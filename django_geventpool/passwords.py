"""Passwords that are asked for with each connection: ``DATABASES[alias]["PASSWORD"]`` may be a function."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured


def check(alias: str, settings: Mapping[str, Any]) -> None:
    """Check what can be checked of a database's password without asking for it.

    :raises ImproperlyConfigured: for a function that can't be called without arguments.
    """
    given = settings.get("OPTIONS")
    for name, password in (
        ('["PASSWORD"]', settings.get("PASSWORD")),
        ('["OPTIONS"]["password"]', given.get("password") if isinstance(given, Mapping) else None),
    ):
        if callable(password) and not _takes_no_arguments(password):
            raise ImproperlyConfigured(
                f'DATABASES["{alias}"]{name} is called with no arguments, for each new connection, and must return '
                "the password: give it a function without arguments, such as functools.partial(fetch_password, name)."
            )


def _takes_no_arguments(function: Any) -> bool:
    try:
        inspect.signature(function).bind()
    except TypeError:
        return False
    except ValueError:
        pass  # Its signature is not known.
    return True


def resolve(database: str, password: Any) -> Any:
    """Return the password itself: what a function returns now, or else what was given.

    :raises ImproperlyConfigured: if a function returns anything but a string.
    :raises Exception: what the function raises.
    """
    if not callable(password):
        return password
    answer = password()
    if not isinstance(answer, str):
        kind = type(answer).__name__
        del answer  # Error reports show the variables of their frames.
        raise ImproperlyConfigured(
            f'The function that is the PASSWORD of database "{database}" must return a string, but it returned {kind}.'
        )
    return answer


def resolve_in(alias: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return connection parameters with the password itself."""
    if callable(parameters.get("password")):
        return {**parameters, "password": resolve(alias, parameters["password"])}
    return parameters
