"""Tests that Django's runner runs with two aliases of one database: see tests/integration/test_django_runner.py."""

from __future__ import annotations

import threading

from django.db import connections
from django.test import TestCase, TransactionTestCase

from django_geventpool import pools
from django_geventpool.utils import close_connection

from .models import Item

BOTH = {"default", "replica"}


def database_of(alias: str) -> str:
    with connections[alias].cursor() as cursor:
        cursor.execute("select current_database()::text")
        (name,) = cursor.fetchone()
    return str(name)


class InTransaction(TestCase):
    databases = BOTH

    def test_both_aliases_are_of_the_test_database(self) -> None:
        assert {database_of(alias) for alias in BOTH} == {connections["default"].settings_dict["NAME"]}


class WithTransactions(TransactionTestCase):
    databases = BOTH

    def test_one_alias_reads_what_the_other_has_written(self) -> None:
        Item.objects.using("default").create(name="committed")
        assert Item.objects.using("replica").count() == 1

    def test_both_pools_are_left_with_several_idle_connections(self) -> None:
        both_have_one = threading.Barrier(2)

        @close_connection
        def query() -> None:
            for alias in sorted(BOTH):
                connections[alias].ensure_connection()
            both_have_one.wait(30)

        threads = [threading.Thread(target=query) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert {alias: pools[alias].stats().idle for alias in BOTH} == dict.fromkeys(BOTH, 2)
