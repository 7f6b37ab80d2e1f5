"""The settings that libpq connects with: what it is given, what a service says, the environment, and its defaults."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from .libpq import find_libpq

#: Read where libpq can't be asked.
_ENVIRONMENT = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "load_balance_hosts": "PGLOADBALANCEHOSTS",
}
#: Parameters that point to settings elsewhere.
_ELSEWHERE = frozenset(("conninfo", "dsn", "service"))
#: A value that libpq refuses, so that it reads its parameters and goes no further.
_STOP = {"sslmode": "?"}


def effective_settings(
    library: str, make_conninfo: Callable[..., str], parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the settings that libpq would connect with, but for the password; nothing connects.

    :param library: the file name of libpq, or of a library that is linked with it.
    :param make_conninfo: makes a connection string of keyword arguments.
    :param parameters: what is given to the driver.
    :raises Exception: what ``make_conninfo`` raises.
    """
    conninfo = make_conninfo(**{**parameters, "password": None, **_STOP})
    libpq = find_libpq(library)
    if libpq is not None:
        return libpq.settings(conninfo)
    if _ELSEWHERE & parameters.keys() or "PGSERVICE" in os.environ:
        return {}
    environment = {name: os.environ[variable] for name, variable in _ENVIRONMENT.items() if variable in os.environ}
    return {**environment, **parameters}
