"""A model without a table, for the permissions of the page in Django's admin, which ``migrate`` makes."""

from __future__ import annotations

from django.db import models


class _NoRows(models.Manager["ConnectionPools"]):
    """For whoever goes through the rows of all models, as ``dumpdata`` does."""

    def get_queryset(self) -> models.QuerySet[ConnectionPools]:
        return super().get_queryset().none()


class ConnectionPools(models.Model):
    """What the permissions "view" and "change" are for: the connection pools of all workers."""

    objects = _NoRows()

    class Meta:  # noqa: D106  Django's own
        managed = False
        default_permissions = ("view", "change")
        # Some ask for the rows by this one.
        base_manager_name = "objects"
        verbose_name = "connection pools"
        verbose_name_plural = "connection pools"

    def __str__(self) -> str:
        return "connection pools"
