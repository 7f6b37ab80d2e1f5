"""The user's own name for the sessions of a driver, before which nothing is put: ``application_name``."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

#: Parameters that point to settings elsewhere.
_ELSEWHERE = ("conninfo", "dsn", "service")
#: The server takes both cases and both signs.
_IN_OPTIONS = re.compile(r"application[_-]name=((?:\\.|[^\s\\])*)", re.IGNORECASE)

Settings = Callable[[Mapping[str, Any]], dict[str, Any]]


def users_application_name(parameters: Mapping[str, Any], effective_settings: Settings) -> str | None:
    """Return the user's own text, empty if there is none; None if it can't be known.

    :param parameters: what is given to the driver.
    :param effective_settings: returns what libpq would connect with; empty if it can't be asked.
    """
    in_options = _IN_OPTIONS.findall(parameters.get("options") or os.environ.get("PGOPTIONS", ""))
    own = parameters.get("application_name")
    if own is None and in_options:
        return re.sub(r"\\(.)", r"\1", in_options[-1])  # The last one holds.
    if own is None:
        elsewhere = {name: parameters[name] for name in _ELSEWHERE if name in parameters}
        if elsewhere or "PGSERVICE" in os.environ:
            settings = effective_settings(elsewhere)
            if not settings:
                return None
            own = settings.get("application_name")
        else:
            own = os.environ.get("PGAPPNAME")
    return str(own or parameters.get("fallback_application_name") or "")
