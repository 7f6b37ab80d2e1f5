"""The pool that a wrapper's settings ask for."""

from __future__ import annotations

from typing import Any

from django.db import connections
from django.db.backends.postgresql.psycopg_any import is_psycopg3

from .. import passwords
from ..drivers.base import BaseDriver
from ..engines import PooledWrapper
from ..pool import Pool
from ..pool.driver import Driver


def make_pool(wrapper: PooledWrapper) -> Pool:
    """Make the pool that a wrapper's settings ask for."""
    # The pool keeps a wrapper of its own: this one would never be gone, nor what it has taken come back.
    wrapper = type(wrapper)(wrapper.settings_dict, wrapper.alias)
    # Read again: the limit may have been changed since the wrapper was made.
    return Pool(wrapper.alias, _make_driver(wrapper), wrapper.pool_options)


def server_answers(alias: str, timeout: float) -> bool | None:
    """Return whether the server of an alias answers in time; None if that can't be told.

    It is asked without a session, and so without a password.

    :param timeout: in seconds.
    """
    wrapper: Any = connections[alias]
    return _driver_of(wrapper).answers(wrapper.get_connection_params(), timeout)


def open_with(pool: Pool, parameters: dict[str, Any]) -> None:
    """Make a pool open its connections with these parameters from now on.

    An engine derived from ours may have added what the settings don't have: a token, the password of the hour.
    """
    driver = pool.driver
    assert isinstance(driver, BaseDriver)
    given = dict(parameters)
    driver.parameters = lambda: passwords.resolve_in(pool.name, dict(given))


def _make_driver(wrapper: PooledWrapper) -> Driver:
    passwords.check(wrapper.alias, wrapper.settings_dict)
    return _driver_of(wrapper)


def _driver_of(wrapper: PooledWrapper) -> BaseDriver[Any]:
    def parameters() -> dict[str, Any]:
        return passwords.resolve_in(wrapper.alias, wrapper.get_connection_params())

    return _driver_class()(
        parameters,
        wrapper.configure,
        wrapper.settings_dict["OPTIONS"].get("isolation_level"),
        wrapper.pool_options.ON_RELEASE_DISCARD_ALL,
        wrapper.pool_options.CLIENT_CHECK_INTERVAL,
        limits_statements=wrapper.pool_options.STATEMENT_TIMEOUT_FROM_TASK,
    )


def _driver_class() -> type[BaseDriver[Any]]:
    """Return the class of the driver that Django has picked."""
    if is_psycopg3:
        from ..drivers.psycopg import PsycopgDriver

        return PsycopgDriver
    from ..drivers.psycopg2 import Psycopg2Driver

    return Psycopg2Driver
