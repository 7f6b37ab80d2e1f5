"""The table, which the benchmark creates and fills beforehand."""

from django.db import models


class Row(models.Model):
    """A row that tasks read and update."""

    name = models.CharField(max_length=100)
    number = models.IntegerField()

    class Meta:
        """The name of the table."""

        db_table = "rows"

    def __str__(self) -> str:
        return self.name
