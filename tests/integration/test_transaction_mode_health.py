"""CONN_HEALTH_CHECKS: a connection that was kept between requests, and is lost or rejected, is not kept on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.db import close_old_connections, transaction

from tests.support.database import Database
from tests.support.derived_engines import Base, engine_of
from tests.testapp.models import Item

from .conftest import MakeDatabase


@pytest.fixture
def database(make_database: MakeDatabase, schema: None) -> Iterator[Database]:
    database = make_database(
        MAX_CONNS=2,
        role_limit=4,
        POOL_MODE="transaction",
        settings={"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True},
    )
    Item.objects.using(database.alias).bulk_create(Item(name=str(number)) for number in range(5))
    yield database
    database.give_back()
    Item.objects.using(database.alias).all().delete()
    database.give_back()


def use_block(database: Database) -> None:
    with transaction.atomic(using=database.alias):
        Item.objects.using(database.alias).count()


def query(database: Database) -> None:
    Item.objects.using(database.alias).count()


def fail_to_query(database: Database) -> None:
    with pytest.raises(ValueError, match="not like this"), database.connection.execute_wrapper(refuse):
        query(database)


def refuse(*_arguments: object) -> object:
    raise ValueError("not like this")


@pytest.mark.parametrize("use", [use_block, query, fail_to_query])
def test_what_replaces_a_lost_connection_goes_back_after_its_use(
    database: Database, use: Callable[[Database], None]
) -> None:
    rows = Item.objects.using(database.alias).iterator(chunk_size=1)
    next(rows)  # A cursor that is never read to its end keeps the connection.
    assert database.stats().in_use == 1
    close_old_connections()  # The next request begins, and will look whether the connection is alive.
    assert database.stats().in_use == 1
    assert database.terminate() == 1
    use(database)
    assert database.stats().in_use == 0
    query(database)
    assert database.stats().in_use == 0


class Rejecting(Base):
    """Finds fault with connections that are as good as others."""

    is_content = True

    def is_usable(self) -> bool:
        return self.is_content and super().is_usable()


def test_what_an_engine_rejects_is_replaced(make_database: MakeDatabase) -> None:
    database = make_database(
        MAX_CONNS=1, settings={"ENGINE": engine_of(Rejecting), "CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True}
    )
    pid = database.pid()
    close_old_connections()  # The next request begins.
    assert database.pid() == pid
    close_old_connections()
    database.connection.is_content = False
    assert database.pid() != pid
    database.give_back()
    database.assert_whole()
