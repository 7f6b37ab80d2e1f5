"""Libraries that derive their engine from the one that a project names, or provide a mixin for one."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.db import transaction

from tests.support.derived_engines import Base, engine_of
from tests.support.drivers import ENGINE
from tests.support.tasks import Task, results
from tests.testapp.models import Item

from .conftest import MODES, MakeDatabase


@MODES
@pytest.mark.usefixtures("schema")
def test_django_prometheus_counts_each_query(make_database: MakeDatabase, mode: str) -> None:
    common = pytest.importorskip("django_prometheus.db.common")

    class Prometheus(common.DatabaseWrapperMixin, Base):  # type: ignore[misc,name-defined]
        """Derived from ours, as its own engines are from Django's."""

        def get_connection_params(self) -> dict[str, Any]:
            parameters: dict[str, Any] = super().get_connection_params()
            parameters["cursor_factory"] = common.ExportingCursorWrapper(
                parameters["cursor_factory"], self.alias, self.vendor
            )
            return parameters

        def create_cursor(self, name: str | None = None) -> Any:
            return Base.create_cursor(self, name=name)

    database = make_database(MAX_CONNS=2, POOL_MODE=mode, settings={"ENGINE": engine_of(Prometheus)})
    executed = common.execute_total.labels(database.alias, "postgresql")

    def use() -> None:
        with transaction.atomic(using=database.alias):
            database.pid()
        assert list(Item.objects.using(database.alias).filter(pk=0).iterator()) == []
        database.give_back()

    use()
    before = executed._value.get()  # noqa: SLF001  prometheus_client has no public way
    results([Task(use) for _ in range(10)])
    # The iterator's queries aren't counted: psycopg 3 makes another cursor for them, with Django's engine too.
    assert executed._value.get() - before >= 10  # noqa: SLF001
    database.assert_whole()


@MODES
@pytest.mark.usefixtures("schema")
def test_django_postgres_extra_works_on_ours(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    pytest.importorskip("psqlextra")
    monkeypatch.setattr(settings, "POSTGRES_EXTRA_DB_BACKEND_BASE", ENGINE, raising=False)
    database = make_database(MAX_CONNS=2, POOL_MODE=mode, settings={"ENGINE": "psqlextra.backend"})
    assert isinstance(database.connection, Base)
    from psqlextra.settings import postgres_set_local

    def use(number: int) -> None:
        with transaction.atomic(using=database.alias):
            item = Item.objects.using(database.alias).create(name="extra", number=number)
            with postgres_set_local(statement_timeout=f"{number + 10}s", using=database.alias):
                assert database.fetch("show statement_timeout") == [(f"{number + 10}s",)]
        assert database.fetch("show statement_timeout") == [("0",)]
        item.delete()
        database.give_back()

    results([Task(use, number) for number in range(10)])
    database.assert_whole()
