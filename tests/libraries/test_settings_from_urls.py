"""Libraries that read settings from URLs: what they leave as text means what it says."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from django_geventpool.options import PoolOptions, split
from tests.support.drivers import ENGINE

from .conftest import MakeDatabase

QUERY = "MAX_CONNS=2&CONN_WAIT_TIMEOUT=2.5&CONN_IDLE_TIMEOUT=None&ON_RELEASE_DISCARD_ALL=False&POOL_MODE=transaction"
READ = {
    "MAX_CONNS": 2,
    "CONN_WAIT_TIMEOUT": 2.5,
    "CONN_IDLE_TIMEOUT": None,
    "ON_RELEASE_DISCARD_ALL": False,
    "POOL_MODE": "transaction",
}


@pytest.mark.parametrize("library", ["dj_database_url", "environ"])
def test_options_of_a_url(make_database: MakeDatabase, library: str) -> None:
    module = pytest.importorskip(library)
    database = make_database()
    user, password, name = (quote(str(database.settings[key])) for key in ("USER", "PASSWORD", "NAME"))
    address = f"{database.settings['HOST']}:{database.settings['PORT']}"
    url = f"postgres://{user}:{password}@{address}/{name}?{QUERY}"
    if library == "environ":
        settings = {**module.Env.db_url_config(url), "ENGINE": ENGINE}
    else:
        settings = dict(module.parse(url, engine=ENGINE))
    options, _driver = split(settings["OPTIONS"])
    assert isinstance(options, PoolOptions)
    assert {key: getattr(options, key) for key in READ} == READ
    from_url = make_database(**settings.pop("OPTIONS"), settings=settings)
    from_url.assert_whole()
    assert from_url.stats().limit == 2
