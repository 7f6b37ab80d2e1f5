"""The one table, which the benchmark makes and fills beforehand."""

from django.db import models


class Row(models.Model):
    """A row to be read and updated."""

    name = models.CharField(max_length=100)
    number = models.IntegerField()

    class Meta:
        """Where the table is."""

        db_table = "rows"

    def __str__(self) -> str:
        return self.name
