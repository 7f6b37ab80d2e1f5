"""Tests that Django's runner runs, to try out the runner: see tests/integration/test_django_runner.py."""

from __future__ import annotations

import threading

from django.db import connection, transaction
from django.test import TestCase, TransactionTestCase

from django_geventpool import pools
from django_geventpool.utils import close_connection

from .models import Item


class InTransaction(TestCase):
    @classmethod
    def setUpTestData(cls) -> None:
        cls.item = Item.objects.create(name="of the class")

    def test_data_of_the_class(self) -> None:
        assert Item.objects.get() == self.item

    def test_what_it_writes_is_rolled_back_first(self) -> None:
        assert Item.objects.count() == 1
        Item.objects.create(name="of the test")

    def test_what_it_writes_is_rolled_back_second(self) -> None:
        self.test_what_it_writes_is_rolled_back_first()

    def test_close_connection_leaves_the_transaction_alone(self) -> None:
        with close_connection():
            Item.objects.create(name="of the test")
        assert Item.objects.count() == 2

    def test_on_commit(self) -> None:
        seen: list[str] = []
        with self.captureOnCommitCallbacks(execute=True), transaction.atomic():
            transaction.on_commit(lambda: seen.append("committed"))
        assert seen == ["committed"]


class WithTransactions(TransactionTestCase):
    def test_the_table_is_empty_at_the_start_first(self) -> None:
        assert Item.objects.count() == 0
        Item.objects.create(name="committed")

    def test_the_table_is_empty_at_the_start_second(self) -> None:
        self.test_the_table_is_empty_at_the_start_first()

    def test_another_thread_sees_what_is_committed(self) -> None:
        Item.objects.create(name="committed")
        seen: list[int] = []

        @close_connection
        def count() -> None:
            seen.append(Item.objects.count())

        thread = threading.Thread(target=count)
        thread.start()
        thread.join(30)
        assert seen == [1]

    def test_it_is_the_test_database(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("select current_database()")
            (name,) = cursor.fetchone()
        assert name == connection.settings_dict["NAME"]
        assert name.startswith("test_of_"), name
        assert pools["default"].stats().in_use == 1
