"""The pool's options in the settings of a wrapper, read again only when they have changed."""

from __future__ import annotations

from typing import Any

from django.db import connections
from django.db.backends.base.base import NO_DB_ALIAS, BaseDatabaseWrapper

from .. import options
from ..errors import InvalidOption

#: By alias, the OPTIONS that were read last, and what they say: wrappers are made for each greenlet.
_read: dict[str, tuple[dict[str, Any], options.PoolOptions]] = {}


def read_options(wrapper: BaseDatabaseWrapper) -> options.PoolOptions:
    """Return the validated pool options of a wrapper's settings.

    :raises UnusableDatabase: for options that can't be used, named with their alias.
    """
    given = wrapper.settings_dict["OPTIONS"]
    last_given, pool_options = _read.get(wrapper.alias, (None, None))
    if pool_options is None or given != last_given:
        try:
            pool_options, _ = options.split(given)
        except InvalidOption as error:
            from .unusable import UnusableDatabase

            raise UnusableDatabase(f'DATABASES["{_known_alias(wrapper)}"]["OPTIONS"]: {error}') from None
        _read[wrapper.alias] = (dict(given), pool_options)  # A copy, as some projects change theirs in place.
    return pool_options


def _known_alias(wrapper: BaseDatabaseWrapper) -> str:
    """Return a wrapper's alias; of one without a database, that of the database whose options Django gave it."""
    given = wrapper.settings_dict["OPTIONS"]
    aliases = (alias for alias, database in connections.settings.items() if database["OPTIONS"] is given)
    return next(aliases, wrapper.alias) if wrapper.alias == NO_DB_ALIAS else wrapper.alias
