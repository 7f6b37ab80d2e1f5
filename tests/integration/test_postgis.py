"""The PostGIS engine, with real geometry."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.exceptions import ImproperlyConfigured

from servers.postgres import PostgresServer
from servers.postgres_binaries import PostgresNotFound
from tests.support.tasks import Task, results

from .conftest import MakeDatabase


@pytest.fixture(scope="module")
def postgis_server() -> Iterator[PostgresServer]:
    """A server with PostGIS; without one, or without GDAL, the tests are skipped."""
    try:
        from django.contrib.gis import gdal  # noqa: F401  fails without the library

        server = PostgresServer(extension="postgis")
    except (ImproperlyConfigured, PostgresNotFound) as error:
        pytest.skip(f"PostGIS or GDAL is missing: {error}")
    with server:
        server.query("CREATE EXTENSION postgis")
        yield server


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_points_are_stored_and_found_through_the_pool(
    make_database: MakeDatabase, postgis_server: PostgresServer, mode: str
) -> None:
    from django.contrib.gis.geos import Point
    from django.contrib.gis.measure import D

    from tests.testapp.geography import Place

    database = make_database(
        server=postgis_server,
        role_limit=3,
        MAX_CONNS=2,
        POOL_MODE=mode,
        settings={"ENGINE": "django_geventpool.backends.postgis"},
    )
    with database.connection.schema_editor() as editor:
        editor.create_model(Place)
    try:
        places = Place.objects.using(database.alias)

        def add(number: int) -> None:
            try:
                places.create(name=f"{number} km", point=Point(number * 0.009, 0, srid=4326))
            finally:
                database.give_back()

        results([Task(add, number) for number in range(20)])
        near = places.filter(point__distance_lte=(Point(0, 0, srid=4326), D(km=5.5))).order_by("pk")
        assert sorted(place.name for place in near) == ["0 km", "1 km", "2 km", "3 km", "4 km", "5 km"]
        assert near[0].point.srid == 4326
        assert database.stats().connects <= 2
    finally:
        with database.connection.schema_editor() as editor:
            editor.delete_model(Place)
    database.give_back()
    database.assert_whole()
